"""One line of a message, made without a model: by what it says in itself, so that it is the same in every prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from mailassist.context.matching import answer_kinds
from mailassist.context.sentences import is_question
from mailassist.context.shorten import CHARACTERS, shorten
from mailassist.context.tokens import TokenCounter
from mailassist.context.worth import Piece, pieces_of

SUMMARY = 40  # tokens, at most

_ANSWERED_LINE = re.compile(r"^> .*\n?", re.MULTILINE)
_IN_SHORT = "[in short] "


def summary(text: str, counter: TokenCounter) -> str:
    """The first sentence of `text` and those with facts and questions, on one line; a short text as it is."""
    if len(text) <= SUMMARY * CHARACTERS and counter.count(text) <= SUMMARY:
        return text
    pieces = list(pieces_of(_ANSWERED_LINE.sub("\n", text[: SUMMARY * 200]), 0))
    kept: list[Piece] = []
    room = SUMMARY
    for piece in _facts_first(_without_greeting(pieces)):
        tokens = counter.count(piece.text)
        if tokens <= room:
            kept.append(piece)
            room -= tokens
    if not kept and pieces:
        return _IN_SHORT + shorten(pieces[0].text, SUMMARY, counter)
    return _IN_SHORT + joined(kept)


def joined(pieces: Sequence[Piece]) -> str:
    """Sentences in their order, with a mark where some are left out between them."""
    text = ""
    last = -1
    for piece in sorted(pieces, key=lambda one: one.place):
        text += (" " if piece.place == last + 1 else " … ") if text else ""
        text += piece.text
        last = piece.place
    return text


def _facts_first(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces of one text by what they say in themselves: the first, then those with facts and questions."""
    return sorted(
        pieces,
        key=lambda piece: (piece.place > 0, -len(answer_kinds(piece.text)) - 2 * is_question(piece.text), piece.place),
    )


def _without_greeting(pieces: Sequence[Piece]) -> list[Piece]:
    """`pieces` without a first one that only greets."""
    return [replace(one, place=place) for place, one in enumerate(pieces[1:] if _greets(pieces) else pieces)]


def _greets(pieces: Sequence[Piece]) -> bool:
    return len(pieces) > 1 and len(pieces[0].text) <= 40 and pieces[0].text.rstrip()[-1:] in (",", "!", "，")
