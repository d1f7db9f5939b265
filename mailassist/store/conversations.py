"""What belongs to a conversation as a whole."""

from __future__ import annotations

import hashlib
import hmac
import secrets as random_source

import sqlalchemy as sa

from mailassist.store.database import Store
from mailassist.store.dialect import put
from mailassist.store.schema import conversations

_LEAST, _COUNT = 10**11, 9 * 10**11  # of twelve digits, the first not 0: 40 bits, and four tokens in o200k_base


def draw_delimiter() -> str:
    """Twelve random digits that nobody can guess, for a prompt without a store."""
    return str(random_source.randbelow(_COUNT) + _LEAST)


def delimiter(store: Store, account: str, conversation: str) -> str:
    """The number that marks this conversation's messages in a prompt, which nobody without the store's key can tell.

    It is always the same, so that the provider's prompt cache finds the beginning of the prompt again: HMAC-SHA256 of
    both names (RFC 2104), so that nothing has to be kept. Raises StoreError.
    """
    named = "\0".join(("delimiter", account, conversation)).encode("utf-8", "surrogatepass")
    digest = hmac.digest(store.key(), named, hashlib.sha256)
    return str(int.from_bytes(digest[:16], "big") % _COUNT + _LEAST)


def skip(store: Store, account: str, conversation: str, message_id: str) -> None:
    """Take a conversation off the list until something newer than `message_id` comes; "" puts it back."""
    with store.write() as connection:
        values = {"account": account, "conversation": conversation, "skipped_at_message": message_id}
        put(connection, conversations, values)


def skipped(store: Store, account: str) -> dict[str, str]:
    """The conversations that the person skipped, each with what was its newest message then."""
    query = sa.select(conversations.c.conversation, conversations.c.skipped_at_message).where(
        conversations.c.account == account, conversations.c.skipped_at_message != ""
    )
    with store.read() as connection:
        return {row.conversation: row.skipped_at_message for row in connection.execute(query)}
