"""`mailassist parse`: what mailassist reads in a message. Exits 0 for any bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import READ_AT_MOST, config_option, read_message_file
from mailassist.cli.output import dump_json, say

if TYPE_CHECKING:
    from mailassist.documents import Document
    from mailassist.mail.message import Address, Message


@click.command()
@click.argument("file", metavar="FILE|-")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@config_option
def command(file: str, as_json: bool) -> None:
    """Show what mailassist reads in a message: the new text, the quoted text, the signature, what was hidden.

    FILE holds one message (RFC 5322); "-" is standard input.
    """
    from mailassist.mail.parse import parse_message

    raw, cut = read_message_file(file)
    message = parse_message(raw)
    said = _said(raw, message)
    del raw
    value = as_object(message, cut, said)
    if as_json:
        dump_json(value)
    else:
        _show(message, value)


def _said(raw: bytes, message: Message) -> Sequence[Document]:
    """What the attachments say."""
    if not message.attachments or message.encrypted:
        return ()
    from mailassist.documents.reading import read_documents

    return read_documents({message.message_id: raw}).get(message.message_id, ())


def as_object(message: Message, cut: bool = False, said: Sequence[Document] = ()) -> dict[str, object]:
    """The shape that `parse --json` prints; other programs rely on it. `said`: what the attachments say."""
    warnings = list(message.warnings)
    if cut:
        warnings.insert(0, f"structure-limit: too large; only the first {READ_AT_MOST:,} bytes were read")
    return {
        "message_id": message.message_id,
        "from": _line(message.from_),
        "to": _line(message.to),
        "cc": _line(message.cc),
        "date": message.date.isoformat() if message.date else "",
        "subject": message.subject,
        "headers": {name: list(values) for name, values in message.headers.items()},
        "reply": message.reply,
        "quoted": message.quoted,
        "signature": message.signature,
        "blocks": [{"kind": block.kind.value, "text": block.text} for block in message.blocks],
        "hidden": list(message.hidden),
        "attachments": _attachments(message, said),
        "warnings": warnings,
    }


def _attachments(message: Message, said: Sequence[Document]) -> list[dict[str, object]]:
    """The attachments, each with its text; ornaments have none."""
    documents = list(said)
    found: list[dict[str, object]] = []
    for part in message.attachments:
        own = (part.name, part.content_type)
        document = next((one for one in documents if (one.name, one.content_type) == own), None)
        if document is not None:
            documents.remove(document)
        found.append(
            {
                "name": part.name,
                "content_type": part.content_type,
                "size": part.size,
                "inline": part.inline,
                "text": document.text if document else "",
                "note": document.note if document else "",
            }
        )
    return found


def _line(addresses: tuple[Address, ...]) -> str:
    return ", ".join(str(address) for address in addresses)


def _show(message: Message, value: dict[str, object]) -> None:
    for name in ("from", "to", "cc", "date", "subject"):
        if value[name]:
            say(f"{name.title()}: {value[name]}".replace("\n", " "))
    say()
    say(message.reply)
    for title, text in (("Quoted", message.quoted), ("Signature", message.signature), *_lists(message, value)):
        if text.strip("\n"):
            say(f"\n--- {title}")
            say(text.strip("\n"))


def _lists(message: Message, value: dict[str, object]) -> list[tuple[str, str]]:
    attached = (
        f"{part.name or '(no name)'} ({part.content_type}, {part.size:,} bytes)" for part in message.attachments
    )
    warnings = value["warnings"]
    assert isinstance(warnings, list)
    return [
        ("Hidden, not shown to the model", "\n".join(message.hidden)),
        ("Attachments", "\n".join(attached)),
        ("Warnings", "\n".join(warnings)),
    ]
