"""`mailassist threads`: the conversations of an mbox or Maildir."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option
from mailassist.cli.output import dump_json, say, warn
from mailassist.mail.safe_text import SafeText

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mailassist.mail.message import Message


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@click.option(
    "--json", "as_json", is_flag=True, help="Print JSON: a list of conversations, each a list of Message-IDs."
)
@config_option
def command(path: Path, as_json: bool) -> None:
    """Show the conversations of an mbox file or Maildir (or a folder of them), oldest message first."""
    from mailassist.mail.addresses import OwnAddresses
    from mailassist.mail.threads import thread

    conversations = thread(_headers(path), OwnAddresses())
    if as_json:
        dump_json([[entry.message.message_id for entry in found.entries] for found in conversations])
        return
    if not conversations:
        warn(f"{path} has no messages")
    for found in conversations:
        say(f"{SafeText(found.entries[0].message.subject).line() or '(no subject)'}  [{len(found.entries)}]")
        for entry in found.entries:
            message = entry.message
            date = f"{message.date:%Y-%m-%d %H:%M}" if message.date else "no date"
            say(f"  {date}  {SafeText(message.author or '').line()}  {SafeText(message.message_id).line()}")


def _headers(path: Path) -> Iterator[Message]:
    """Header-only messages: threading needs no bodies, and memory grows with the headers alone."""
    from mailassist.mail.parse import parse_headers
    from mailassist.transport.files import read_messages

    for raw in read_messages(path):
        yield parse_headers(raw)
