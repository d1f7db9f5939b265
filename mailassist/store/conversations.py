"""What belongs to a conversation as a whole."""

from __future__ import annotations

import secrets as random_source

import sqlalchemy as sa

from mailassist.store.database import Store
from mailassist.store.dialect import put, serialise
from mailassist.store.schema import conversations

_DELIMITER = sa.select(conversations.c.delimiter).where(
    conversations.c.account == sa.bindparam("this_account"),
    conversations.c.conversation == sa.bindparam("this_conversation"),
)


def draw_delimiter() -> str:
    """Twelve random digits, the first not 0: 40 bits that nobody can guess, and four tokens in o200k_base."""
    return str(random_source.randbelow(9 * 10**11) + 10**11)


def delimiter(store: Store, account: str, conversation: str) -> str:
    """The number that marks this conversation's messages in a prompt: drawn once, then the same for good.

    It stays the same so that the provider's prompt cache finds the beginning of the prompt again.
    """
    asked = {"this_account": account, "this_conversation": conversation}
    with store.read() as connection:
        if found := connection.scalar(_DELIMITER, asked):
            return str(found)
    with store.write() as connection:
        serialise(connection, "delimiter", account)
        if found := connection.scalar(_DELIMITER, asked):
            return str(found)
        drawn = draw_delimiter()
        put(connection, conversations, {"account": account, "conversation": conversation, "delimiter": drawn})
        return drawn


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
