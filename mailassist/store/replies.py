"""What the outbox says about messages: which are answered, and which replies are still on their way."""

from __future__ import annotations

import sqlalchemy as sa

from mailassist.store.database import Store
from mailassist.store.schema import outbox


def reply_states(store: Store, account: str) -> dict[str, str]:
    """The state of the newest reply to each message, by the Message-ID answered; cancelled ones are left out."""
    query = (
        sa.select(outbox.c.answers, outbox.c.state)
        .where(outbox.c.account == account, outbox.c.state != "cancelled")
        .order_by(outbox.c.id)
    )
    with store.read() as connection:
        return {row.answers: row.state for row in connection.execute(query)}
