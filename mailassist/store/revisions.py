"""Which revision of the tables a database has, and the way to another: Alembic's, loaded only when it is gone.

`alembic_version` is Alembic's own table; SQLite's user_version says the same, one more, in one read.
"""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from mailassist.store import schema

_MIGRATIONS = Path(__file__).with_name("migrations")
version_table = sa.Table(
    "alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True, nullable=False)
)


def recorded(connection: sa.Connection) -> int:
    """The revision that the database has; 0 where none is recorded."""
    if not sa.inspect(connection).has_table(version_table.name):
        return 0
    return int(connection.scalar(sa.select(version_table.c.version_num)) or 0)


def stamp(connection: sa.Connection, revision: int) -> None:
    """Record that the tables are as in `revision`."""
    version_table.create(connection, checkfirst=True)
    connection.execute(version_table.delete())
    connection.execute(version_table.insert().values(version_num=str(revision)))


def create(connection: sa.Connection) -> None:
    """Make the tables of the newest revision in an empty database, without Alembic."""
    schema.metadata.create_all(connection)
    stamp(connection, schema.REVISION)


def upgrade(connection: sa.Connection) -> None:
    """Go to the newest revision, in the caller's transaction."""
    _go(connection, "upgrade", str(schema.REVISION))


def downgrade(connection: sa.Connection) -> None:
    """Go one revision back, in the caller's transaction."""
    _go(connection, "downgrade", "-1")


def _go(connection: sa.Connection, command: str, revision: str) -> None:
    from alembic import command as commands
    from alembic.config import Config

    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")  # the folder's name may hold any other
    getattr(commands, command)(config, revision)
