"""The page that shows what a model would see of a conversation, and behind it the exact prompt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from mailassist.review.phrases import joined, line, money, shown
from mailassist.review.screens.reading import Part, View, gathered, pieces

if TYPE_CHECKING:
    from mailassist.drafting.overview import Level, Row
    from mailassist.drafting.prompt import Prompt
    from mailassist.mail.threads import Conversation
    from mailassist.worklist import ModelStatus

_COLOURS: dict[Level, str] = {
    "whole": "$text-success",
    "shortened": "$text-warning",
    "summary": "$text-warning",
    "excerpt": "$text-accent",
}


def prompt_views(prompt: Prompt, conversation: Conversation, model: ModelStatus) -> tuple[View, View]:
    """What of `conversation` is in `prompt`, what is left out and why; and `prompt` to the letter.

    Takes long for a long conversation: to be made in a worker thread.
    """
    from mailassist.drafting.overview import sections, sums

    price = "price not known" if prompt.estimated_price is None else f"{money(prompt.estimated_price)} for the input"
    where = f" to {model.host}" if model.host else ""
    figures = " · ".join([*sums(prompt), price, f"{model.name}{where}"])
    parts = [Part("", [line(figures)])]
    parts += [Part(section.heading, gathered(_rows(section.rows))) for section in sections(prompt, conversation)]
    return ("What the model would see", parts), ("The exact prompt", _exact(prompt, figures))


def _rows(rows: Sequence[Row]) -> Iterator[Content]:
    """The rows of a section: messages with an empty line between, others one below the other."""
    for number, row in enumerate(rows):
        if row.title:
            yield joined(shown("\n" if number else ""), _title(row))
            yield from pieces(row.text)
        else:
            yield joined(shown("· ", "$text-muted"), line(row.text))


def _title(row: Row) -> Content:
    from mailassist.drafting.overview import IN_WORDS

    level = [shown("  "), shown(IN_WORDS[row.level], _COLOURS[row.level])] if row.level else []
    return joined(line(row.title, "bold"), shown("  "), line(row.about, "$text-muted"), *level)


def _exact(prompt: Prompt, figures: str) -> list[Part]:
    """The prompt as it would be sent, in its order."""
    from mailassist.drafting.attachments import picture_line

    images = [line(f"Image {number}: {picture_line(one)}") for number, one in enumerate(prompt.images, 1)]
    return [
        Part("", [line(figures)]),
        Part("Instructions", pieces(prompt.instructions)),
        *([Part("Pictures, before the input", images)] if images else []),
        Part("Input", pieces(prompt.input)),
    ]
