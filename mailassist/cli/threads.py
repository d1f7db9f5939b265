"""`mailassist threads`: the conversations of an mbox or Maildir."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailassist.cli.bodies import without_bodies
from mailassist.cli.context import config_option, configured_or_default, own_addresses
from mailassist.cli.output import dump_json, say, warn
from mailassist.mail.safe_text import SafeText

if TYPE_CHECKING:
    from mailassist.mail.threads import Conversation, Entry


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: a list of conversations, each a list of Message-IDs."
)
@click.option("--details", is_flag=True, help="With --json: objects that tell how the messages hang together.")
@config_option
def command(path: Path, as_json: bool, details: bool) -> None:
    """Show the conversations of an mbox file or Maildir (or a folder of them), oldest message first."""
    from mailassist.mail.threads import thread

    if details and not as_json:
        raise click.UsageError("--details needs --json")
    marks: dict[str, str] = {}
    own = own_addresses(configured_or_default().accounts.values())
    messages = list(without_bodies(path, marks))  # first, since it fills `marks`
    conversations = thread(messages, own, marks)
    if as_json:
        dump_json([as_object(found) if details else _ids(found) for found in conversations])
        return
    if not conversations:
        warn(f"{path} has no messages")
    for found in conversations:
        say(f"{SafeText(found.entries[0].message.subject).line() or '(no subject)'}  [{len(found.entries)}]")
        for entry in found.entries:
            message = entry.message
            date = f"{message.date:%Y-%m-%d %H:%M}" if message.date else "no date"
            say(f"  {date}  {SafeText(message.author or '').line()}  {SafeText(message.message_id).line()}")


def _ids(conversation: Conversation) -> list[str]:
    return [entry.message.message_id for entry in conversation.entries]


def as_object(conversation: Conversation) -> dict[str, object]:
    """The shape of a conversation that `threads --json --details` prints; other programs rely on it."""
    return {
        "key": conversation.key,
        "subject": conversation.entries[0].message.subject,
        "messages": [_entry(entry) for entry in conversation.entries],
        "missing": [
            {"message_id": gap.message_id, "parent": gap.parent, "children": list(gap.children)}
            for gap in conversation.missing
        ],
    }


def _entry(entry: Entry) -> dict[str, object]:
    message = entry.message
    return {
        "message_id": message.message_id,
        "parent": entry.parent,
        "linked_by": entry.rule,
        "author": str(message.author or ""),
        "date": message.date.isoformat() if message.date else None,
        "subject": message.subject,
        "ours": entry.ours,
        "new_topic": entry.new_topic,
        "duplicates": list(entry.duplicates),
    }
