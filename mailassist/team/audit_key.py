"""Where the key of the audit trail is: outside the store, whose every byte somebody may rewrite. First found wins:

1. `[team] audit_key_file`, readable by its owner only,
2. the secret `audit`: `$CREDENTIALS_DIRECTORY/mailassist.audit`, or the keyring (`mailassist.secrets`),
3. `audit.key` beside the configuration file, where `mailassist audit key` puts it,
4. `audit.key` beside the store, with a warning: the daemon puts it there where it finds none of the others, on its
   first start with a store of this machine.
"""

from __future__ import annotations

import os
import secrets as random_source
import shlex
import stat
from dataclasses import dataclass, field
from pathlib import Path

from mailassist.config import AUDIT_SECRET, Config, SecretSettings
from mailassist.errors import SecretError
from mailassist.secrets import look_up
from mailassist.store import audit
from mailassist.store.database import Store

KEY_FILE = "audit.key"
_CURE = "Run `mailassist audit key` once, as the user of the daemon."


@dataclass(frozen=True, slots=True)
class AuditKey:
    """The key, and for people where it was found."""

    key: bytes = field(repr=False)
    origin: str
    warning: str = ""


def find(config: Config, *, config_path: Path, data_folder: Path) -> AuditKey | None:
    """The key of this installation, None where there is none yet. Raises SecretError for one that cannot be used."""
    named = config.team.audit_key_file
    if named is not None:
        path = named.expanduser()
        return AuditKey(_read(path), str(path)) if path.exists() else None
    found = look_up(AUDIT_SECRET, SecretSettings())
    if found is not None:
        key = found.secret.get_secret_value().encode()
        return AuditKey(_long_enough(key, found.origin), found.origin, found.warning)
    beside_config = config_path.expanduser().parent / KEY_FILE
    if beside_config.exists():
        warning = _beside_store(beside_config) if beside_config.parent.resolve() == data_folder.resolve() else ""
        return AuditKey(_read(beside_config), str(beside_config), warning)
    path = data_folder / KEY_FILE
    return AuditKey(_read(path), str(path), _beside_store(path)) if path.exists() else None


def needed(config: Config, *, config_path: Path, data_folder: Path) -> AuditKey:
    """As `find`; no key is a SecretError with the cure."""
    found = find(config, config_path=config_path, data_folder=data_folder)
    if found is None:
        where = config.team.audit_key_file or f"looked for the secret {AUDIT_SECRET!r} and {KEY_FILE}"
        raise SecretError(f"There is no key for the audit trail ({where})", cure=_CURE)
    return found


def for_daemon(config: Config, *, config_path: Path, data_folder: Path, store: Store) -> AuditKey:
    """As `needed`; the first start with a store of this machine makes a key beside it, and warns.

    Never where a trail has begun: a lost key must not be replaced in silence. Never for a database of several
    machines: each would make another key. Raises SecretError.
    """
    found = find(config, config_path=config_path, data_folder=data_folder)
    if found is not None:
        return found
    with store.read() as connection:
        begun = audit.head(connection)[0] > 0
    if begun:
        raise SecretError(
            "The key of the audit trail is gone", cure="Put it back where it was: the trail goes on with no other key."
        )
    if config.team.audit_key_file is not None or config.team.database:
        return needed(config, config_path=config_path, data_folder=data_folder)
    create(data_folder / KEY_FILE)
    return needed(config, config_path=config_path, data_folder=data_folder)


def create(path: Path) -> None:
    """Write a new key of 32 random bytes, in hexadecimal, to `path` (mode 0600); one that is there stays.

    Raises SecretError.
    """
    made = path.with_name(f".{path.name}.{os.getpid()}.{random_source.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as opened:
            opened.write(random_source.token_hex(audit.KEY_BYTES) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        try:
            os.link(made, path)  # whole or not at all, and never over another
        except FileExistsError:
            pass  # another process was first: that is the key
        finally:
            made.unlink()
    except OSError as error:
        cure = "Name another place in [team] audit_key_file."
        raise SecretError(f"The key cannot be written to {path}: {error.strerror}", cure=cure) from error


def _read(path: Path) -> bytes:
    """The key in a file: its first line, or all bytes where it is no text. Raises SecretError."""
    try:
        with path.open("rb") as opened:
            if os.name == "posix" and stat.S_IMODE(os.fstat(opened.fileno()).st_mode) & 0o077:
                raise SecretError(f"{path} can be read by others", cure=f"Run: chmod 600 {shlex.quote(str(path))}")
            raw = opened.read(4096)
    except OSError as error:
        cure = "Does the user of the daemon own it?"
        raise SecretError(f"{path} cannot be read: {error.strerror}", cure=cure) from error
    return _long_enough((raw.splitlines() or [b""])[0] if raw.isascii() else raw, str(path))


def _long_enough(key: bytes, origin: str) -> bytes:
    if len(key) < audit.KEY_BYTES:
        raise SecretError(f"The key in {origin} has only {len(key)} bytes: {audit.KEY_BYTES} are the least", cure=_CURE)
    return key


def _beside_store(path: Path) -> str:
    return (
        f"the key of the audit trail ({path}) lies beside the store: who can rewrite one can rewrite both; "
        "move it elsewhere and name it in [team] audit_key_file"
    )
