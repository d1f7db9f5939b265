"""`mailassist pack`: what the model would see of a conversation in an mbox or Maildir."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, config_path, configured_or_default, own_addresses
from mailassist.cli.output import dump_json, say
from mailassist.errors import InputError
from mailassist.mail.safe_text import SafeText

if TYPE_CHECKING:
    from mailassist.config import Config
    from mailassist.drafting.prompt import Prompt
    from mailassist.mail.threads import Conversation


@click.command()
@click.argument("path", type=click.Path(path_type=Path), metavar="PATH")
@click.option("--thread", "message_id", required=True, metavar="MESSAGE-ID", help="Any message of the conversation.")
@click.option("--budget", type=click.IntRange(min=1), metavar="N", help="Tokens of the whole prompt [the model's].")
@click.option("--model", metavar="NAME", help="Pack for this model instead of the configured one.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
def command(path: Path, message_id: str, budget: int | None, model: str | None, as_json: bool) -> None:
    """Show what the model would see of a conversation in an mbox file or Maildir.

    `tokens` counts everything that would be sent: instructions, messages, and what the chat format itself costs.
    """
    config = configured_or_default()
    conversation, raw = _conversation(path, message_id, config)
    prompt = _packed(conversation, raw, config, budget, model)
    if as_json:
        dump_json(as_object(prompt, conversation))
    else:
        _show(prompt, conversation)


def as_object(prompt: Prompt, conversation: Conversation) -> dict[str, object]:
    """The shape that `pack --json` prints; other programs rely on it."""
    from mailassist.drafting.overview import shares

    packed = prompt.packed
    return {
        "tokens": prompt.tokens,
        "messages": [
            asdict(share) | {"quotes": list(packed.sources.get(share.message_id, ()))}
            for share in shares(packed, conversation)
        ],
        "documents": [asdict(one) for one in prompt.documents],
        "images": [
            {"name": one.picture.name, "detail": one.detail, "tokens": one.tokens, "price": one.price}
            for one in prompt.images
        ],
        "left_out": [{"message_id": part.message_id, "why": part.why} for part in packed.left_out],
        "instruction_tokens": prompt.instruction_tokens,
        "exact": prompt.exact,
        "language": prompt.language,
        "price": prompt.estimated_price,
        "sentences": list(prompt.sentences),
        "open_asks": [asdict(ask) for ask in packed.open_asks],
        "missing": len(conversation.missing),
    }


def _packed(
    conversation: Conversation, raw: Mapping[str, bytes], config: Config, budget: int | None, model: str | None
) -> Prompt:
    from datetime import date

    from mailassist.context.language import reply_language
    from mailassist.context.tokens import counter_for
    from mailassist.desk.attachments import read
    from mailassist.drafting.attachments import Sight
    from mailassist.drafting.pipeline import token_budget
    from mailassist.drafting.prompt import Author, Wish, build
    from mailassist.model.registry import find
    from mailassist.store.conversations import draw_delimiter

    info = find(model or config.model.name, base_url=config.model.base_url)
    faces = [face for account in config.accounts.values() for face in account.faces]
    face = faces[0] if faces else None
    author = (
        Author(face.name, face.address, bool(face.signature.strip()), face.length) if face else Author("the user", "")
    )
    return build(
        conversation,
        author,
        Wish(language=reply_language(conversation, face.languages if face else ())),
        budget=budget or token_budget(config, info),
        counter=counter_for(info.tokenizer),
        delimiter=draw_delimiter(),
        today=date.today(),
        overrides=config_path().parent / "templates",
        input_price=info.input_price,
        documents=read(conversation.messages, raw) if config.model.documents else {},
        sight=Sight(info, allowed=config.model.pictures),
    )


def _conversation(path: Path, message_id: str, config: Config) -> tuple[Conversation, Mapping[str, bytes]]:
    """The conversation of `message_id`, and its raw messages by Message-ID.

    Only its own messages are held, so that memory does not grow with `path`.
    """
    from mailassist.cli.bodies import without_bodies
    from mailassist.mail.parse import parse_headers, parse_message
    from mailassist.mail.related import Related
    from mailassist.mail.threads import thread
    from mailassist.transport.files import read_messages

    own = own_addresses(config.accounts.values())
    wanted = f"<{message_id.strip().strip('<>')}>"
    related = Related()
    for raw in read_messages(path):
        related.add(parse_headers(raw))
    places = related.places(wanted)
    marks: dict[str, str] = {}
    light = list(without_bodies(path, marks, places))
    found = next((talk for talk in thread(light, own, marks) if talk.message(wanted)), None)
    if found is None:
        raise InputError(f"{path} has no message {wanted}", cure=f"`mailassist threads {path}` shows what it has.")
    members = {one for entry in found.entries for one in (entry.message.message_id, *entry.duplicates)}
    inside = {place for place, message in zip(sorted(places), light, strict=True) if message.message_id in members}
    known: dict[str, bytes] = {}
    whole = []
    for place, raw in enumerate(read_messages(path)):
        if place in inside:
            whole.append(parse_message(raw))
            known.setdefault(whole[-1].message_id, raw)
    return next(talk for talk in thread(whole, own) if talk.message(wanted)), known


def _show(prompt: Prompt, conversation: Conversation) -> None:
    from mailassist.drafting.overview import about, sections, sums

    price = "price not known" if prompt.estimated_price is None else f"${prompt.estimated_price:.6f} for the input"
    say(" · ".join([*sums(prompt), price]))
    for section in sections(prompt, conversation):
        say(f"\n--- {SafeText(section.heading).line()}")
        for number, row in enumerate(section.rows):
            if row.title:
                say(("\n" if number else "") + SafeText(f"{row.title} · {about(row)}").line())
            say(row.text if row.title else SafeText(row.text).line())
