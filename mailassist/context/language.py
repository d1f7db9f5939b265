"""Which language the reply is written in: by script, then by frequent short words.

A small table of our own instead of a library: letters are full of the words that tell languages apart (function words,
greetings), and the libraries that do well on short texts need numpy or weigh tens of megabytes, where this is one file
of 30 kB that is read in a few hundredths of a second.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mailassist.mail.threads import Conversation

LOOKED_AT = 4_000  # characters of a text: more does not change the answer
SCORE_TO_TELL = 0.45  # below this much evidence a text says nothing
NEAR_TO_BEST = 0.75  # of the evidence for any language: what one that comes into question needs
LEAD_TO_TELL = 1.1  # how many times the evidence for the next language it must be

_SCRIPTS = {
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "he": "\u0590-\u05ff",
    "th": "\u0e00-\u0e7f",
    "ko": "\uac00-\ud7af\u1100-\u11ff",
    "ja": "\u3040-\u30ff",
    "zh": "\u3400-\u4dbf\u4e00-\u9fff",
    "hi": "\u0900-\u097f",
    "bn": "\u0980-\u09ff",
    "ta": "\u0b80-\u0bff",
    "ka": "\u10a0-\u10ff",
    "hy": "\u0530-\u058f",
    "Arabic": "\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff",
    "Cyrillic": "\u0400-\u052f",
}
_SHARED = {"Arabic": ("ar", "fa", "ur"), "Cyrillic": ("ru", "uk", "bg", "sr")}

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_NOT_PROSE = re.compile(r"[/\\_@\d]")  # in addresses, names of files, numbers


def reply_language(conversation: Conversation, languages: Sequence[str] = ()) -> str:
    """The BCP 47 code of the language to answer in: that of the other side's newest message.

    Where that message is too short to tell, the subject and then the older messages decide. `languages`: those the
    user writes, the preferred first; no other is chosen. "" when nothing can be told.
    """
    asked = conversation.newest_from_others
    own = [entry for entry in conversation.entries if asked is not None and entry.message is asked.message]
    older = [entry for entry in reversed(conversation.entries) if entry not in own]
    for text in (
        *(entry.message.reply or entry.message.text for entry in own),
        conversation.subject,
        *(entry.message.reply for entry in older[:10]),
    ):
        found = detect(text, languages)
        if found:
            return found
    return languages[0] if languages else ""


def detect(text: str, among: Collection[str] = ()) -> str:
    """The language most of `text` is in, as a BCP 47 code; "" when there is too little to tell.

    `among`: only these come into question (a regional code such as "pt-BR" is given back as it stands).
    """
    allowed = {code.partition("-")[0].lower().replace("no", "nb"): code for code in among}
    scores = _scores(" ".join(word for word in text[:LOOKED_AT].split() if not _NOT_PROSE.search(word)).casefold())
    most = max(scores.values(), default=0.0)
    if allowed:
        scores = {code: score for code, score in scores.items() if code in allowed}
    if not scores or max(scores.values()) < most * NEAR_TO_BEST:
        return ""  # it is in a language that does not come into question
    best, *others = sorted(scores, key=lambda code: scores[code], reverse=True)
    rival = max((scores[code] for code in others), default=0.0)
    if scores[best] < max(SCORE_TO_TELL, rival * LEAD_TO_TELL):
        return ""
    return allowed.get(best, best)


def language_name(code: str) -> str:
    """What a prompt calls the language: its English name, or the code itself where we have none."""
    base = code.partition("-")[0].lower()
    name = str(_table().get("nb" if base == "no" else base, {}).get("name", ""))
    if not name:
        return code
    return f"{name} ({code})" if "-" in code else name


def _scores(text: str) -> dict[str, float]:
    """How much speaks for each language."""
    counts = {script: len(re.findall(f"[{letters}]", text)) for script, letters in _SCRIPTS.items()}
    latin = len(re.findall("[a-z\u00df-\u024f\u1e00-\u1eff]", text))
    if counts["ja"] * 8 > counts["zh"]:  # kana among Chinese characters is Japanese
        counts["ja"], counts["zh"] = counts["ja"] + counts["zh"], 0
    for script in ("ja", "zh", "ko"):
        counts[script] *= 3  # one such character says about as much as three letters
    script = max(counts, key=lambda name: counts[name])
    if counts[script] <= latin / 2:
        return _by_words(text, [code for code in _table() if code not in _one_script()])
    if script in _SHARED:
        return _by_words(text, _SHARED[script])
    return {script: float(counts[script])}


def _by_words(text: str, codes: Iterable[str]) -> dict[str, float]:
    """Evidence for each of `codes`: frequent words and telling letters, shared among the languages that have them."""
    among = set(codes)
    scores: dict[str, float] = dict.fromkeys(among, 0.0)
    for word, times in Counter(_WORD.findall(text.replace("’", "'"))).items():
        _share(scores, _speakers().get(word, ()), min(times, 5) * (0.5 if len(word) == 1 else 1.0), among)
    for letter, users in _users().items():
        times = text.count(letter)
        if times:
            _share(scores, users, min(times, 10) * 0.5, among)
    return scores


def _share(scores: dict[str, float], codes: Collection[str], weight: float, among: Collection[str]) -> None:
    speakers = [code for code in codes if code in among]
    for code in speakers:
        scores[code] += weight / len(speakers) ** 0.5


def _one_script() -> set[str]:
    return {*_SCRIPTS, *(code for codes in _SHARED.values() for code in codes)}


@cache
def _speakers() -> Mapping[str, tuple[str, ...]]:
    """Of each frequent word: the languages it is frequent in."""
    speakers: dict[str, tuple[str, ...]] = {}
    for code, table in _table().items():
        for word in set(str(table.get("words", "")).split()):
            speakers[word] = (*speakers.get(word, ()), code)
    return speakers


@cache
def _users() -> Mapping[str, tuple[str, ...]]:
    """Of each telling letter: the languages that use it."""
    users: dict[str, tuple[str, ...]] = {}
    for code, table in _table().items():
        for letter in str(table.get("letters", "")):
            users[letter] = (*users.get(letter, ()), code)
    return users


@cache
def _table() -> Mapping[str, Mapping[str, Any]]:
    return tomllib.loads(resources.files("mailassist.context").joinpath("languages.toml").read_text(encoding="utf-8"))
