"""How long a draft should be: it follows from what was asked, not from how much the other side wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailassist.config import Length
from mailassist.context.asks import Ask

MOST = 20  # sentences; a mail with more is a document

# What asks for more than a sentence or two: to explain, describe, list, compare, sum up.
_AT_LENGTH = re.compile(
    r"\b(?:expla[in]|describ|list (?:all|the|every|each|your|any|which|what|me|us)\b"
    r"|overview|outline|compar|summar|walk (?:me|us) through|in detail"
    r"|erkl[äa]r|erläuter|beschreib|auflist|aufzähl|übersicht|vergleich|zusammenfass|ausführlich"
    r"|expli[qc]|décri|compar[eo]|résum|détail|descri[bv]|detall|detalh|resum(?:en|ir|a\b|o\b|as\b)|elenc|spieg|riassum|dettagli"
    r"|leg .{1,30} uit\b|uitleg|beschrijf|overzicht|vergelijk|samenvat|förklar|beskriv|forklar|oversikt|översikt"
    r"|selit|kuvaile|wyjaśn|opis[zać]|porówna|vysvětl|popi[šs]|vysvetl|porovn|объясн|опиш|опис|сравн|поясн|порівн)",
    re.IGNORECASE,
)


def sentences(asks: Sequence[Ask], length: Length = "auto") -> tuple[int, int]:
    """From how many to how many sentences a reply to `asks` should have, greeting and closing not counted.

    None: one or two; the first ask: two or three; each further one: one or two more; one that wants an explanation, a
    description or a list: two more. "short" is the lower number at most, "long" twice as many.
    """
    more = 2 * sum(1 for ask in asks if _AT_LENGTH.search(ask.text))
    least, most = 1 + len(asks) + more, max(2, 1 + 2 * len(asks)) + more
    if length == "short":
        least, most = max(1, least // 2), least
    elif length == "long":
        least, most = 2 * least, 2 * most
    return min(least, MOST - 2), min(most, MOST)
