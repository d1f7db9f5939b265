"""Which language the reply is written in: by script, by a library, and by frequent words where a text is short.

The library (ELD) is right on nearly every whole sentence and guesses on one to five words, where a table of function
words and greetings knows what it does not know; see `docs/BENCHMARKS.md`, `languages`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from mailassist.context.loading import data_file

if TYPE_CHECKING:
    from eld import LanguageDetector

    from mailassist.mail.message import Message
    from mailassist.mail.threads import Conversation

LOOKED_AT = 4_000  # characters of a text: more does not change the answer
LEAST_SCORE = 0.45  # below this much evidence from the table of words a text says nothing
NEAR_TO_BEST = 0.75  # of the evidence for any language: what one that comes into question needs
LEAD_TO_TELL = 1.1  # how many times the evidence for the next language it must be, in a short text
SENTENCE = 30  # letters from which the library knows better than the table of words
LEAST_LETTERS, LEAST_WORDS = 12, 4  # below which the library only guesses
OLDER = 10  # messages before the newest that are asked where that says nothing

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
_NAMES = _SCRIPTS.keys() - _SHARED.keys()  # scripts that tell the language
_AS_OURS = {"ms": "id", "no": "nb"}  # the library's codes: it knows Malay, which Indonesian is a form of

_WORD = re.compile(r"[^\W\d_]+(?:['’-][^\W\d_]+)*")
_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)
# "Dear Ms Keller," and "Hallo Tom!", but not "Danke!", which is an answer.
_GREETING = re.compile(r"(?:\S+ ){0,5}\S{1,40} ?[,:，：]|\S+ (?:\S+ )?(?=[^\W\d_])[^a-z]\S{0,40}!")
_KANA = re.compile(f"[{_SCRIPTS['ja']}]")
_NOT_PROSE = re.compile(r"[/\\_@\d]")  # in addresses, names of files, numbers


def reply_language(conversation: Conversation, languages: Sequence[str] = ()) -> str:
    """The BCP 47 code of the language to answer in: that of the other side's newest message, without what it quotes.

    Where that message is too short to tell, the older ones of its author decide, then the subject, then what the others
    wrote. `languages`: those the user writes, the preferred first; no other is chosen. "" when nothing can be told.
    """
    for text in _by_weight(conversation):
        found = detect(text, languages)
        if found:
            return found
    return languages[0] if languages else ""


def _by_weight(conversation: Conversation) -> Iterator[str]:
    """The texts that tell the language, the one that counts most first."""
    entry = conversation.newest_from_others
    asked = entry.message if entry else None
    older = [one.message for one in reversed(conversation.entries) if one.message is not asked]
    author = asked.author.key if asked and asked.author else ""
    theirs = [message for message in older if author and message.author and message.author.key == author]
    others = [message for message in older if message not in theirs]
    yield from map(_written, [asked] if asked else [])
    yield from map(_written, theirs[:OLDER])
    yield conversation.subject
    yield from map(_written, others[:OLDER])


def _written(message: Message) -> str:
    """What its author wrote there."""
    return _QUOTED_LINE.sub("", message.reply if message.reply.strip() or message.quoted.strip() else message.text)


def detect(text: str, among: Collection[str] = ()) -> str:
    """The language that `text` begins in, but for a greeting, as a BCP 47 code; "" when there is too little to tell.

    So neither a greeting, a signature nor a notice below in another language counts. `among`: only these come into
    question (a regional code such as "pt-BR" is given back as it stands).
    """
    return _detected(text[:LOOKED_AT], tuple(among))


@lru_cache(maxsize=64)  # triage, prompt and layout of a reply ask about the same message
def _detected(text: str, among: Sequence[str]) -> str:
    allowed = {code.partition("-")[0].lower().replace("no", "nb"): code for code in among}
    for part in _parts(text):
        prose = " ".join(word for word in part.split() if not _NOT_PROSE.search(word))
        for scores, least, lead in _evidence(prose):
            found = _best(scores, least, lead, allowed)
            if found:
                found = "ja" if found == "zh" and _KANA.search(text) else found
                return allowed.get(found, found)
    return ""


def _parts(text: str) -> Iterator[str]:
    """The paragraphs of `text` in their order, without the line that greets; then all of it."""
    first, _, rest = text.strip().partition("\n")
    greets = bool(rest.strip() and _GREETING.fullmatch(first.strip()))
    yield from re.split(r"\n\s*\n", (rest if greets else text).strip())
    yield text


def _evidence(prose: str) -> Iterator[tuple[Mapping[str, float], float, float]]:
    """What speaks for each language, the best knowledge first; how much must, and how many times that for the next."""
    script = _script(prose)
    if script in _NAMES:
        yield {script: 1.0}, 0.0, 1.0
        return
    among = _SHARED.get(script) or [code for code in _table() if code not in _one_script()]
    letters = sum(map(str.isalpha, prose))
    if letters >= SENTENCE:
        yield _by_library(prose, among), 0.0, 1.0
    yield _by_words(prose.casefold(), among), LEAST_SCORE, LEAD_TO_TELL
    if LEAST_LETTERS <= letters < SENTENCE and len(prose.split()) >= LEAST_WORDS:
        yield _by_library(prose, among), 0.0, LEAD_TO_TELL


def _best(scores: Mapping[str, float], least: float, lead: float, allowed: Collection[str]) -> str:
    """The language that most speaks for, of those `allowed`; "" where that is too little, or more for another."""
    most = max(scores.values(), default=0.0)
    ranked = sorted((code for code in scores if not allowed or code in allowed), key=lambda code: -scores[code])
    if not ranked or scores[ranked[0]] < max(most * NEAR_TO_BEST, least):
        return ""
    rival = scores[ranked[1]] if len(ranked) > 1 else 0.0
    return ranked[0] if scores[ranked[0]] >= rival * lead else ""


def language_name(code: str) -> str:
    """What a prompt calls the language: its English name, or the code itself where we have none."""
    base = code.partition("-")[0].lower()
    name = str(_table().get("nb" if base == "no" else base, {}).get("name", ""))
    if not name:
        return code
    return f"{name} ({code})" if "-" in code else name


def _script(text: str) -> str:
    """The script most of `text` is in: a key of `_SCRIPTS`; "" for Latin and others."""
    if text.isascii():
        return ""
    counts = {script: len(re.findall(f"[{letters}]", text)) for script, letters in _SCRIPTS.items()}
    latin = len(re.findall("[A-Za-z\u00df-\u024f\u1e00-\u1eff]", text))
    if counts["ja"] * 8 > counts["zh"]:  # kana among Chinese characters is Japanese
        counts["ja"], counts["zh"] = counts["ja"] + counts["zh"], 0
    for script in ("ja", "zh", "ko"):
        counts[script] *= 3  # one such character says about as much as three letters
    most = max(counts, key=lambda name: counts[name])
    return most if counts[most] > latin / 2 else ""


def _by_library(text: str, codes: Iterable[str]) -> dict[str, float]:
    """What the library says for each of `codes`."""
    among = set(codes)
    scores: dict[str, float] = {}
    encodable = text.encode("utf-8", "ignore").decode()  # it raises for lone surrogates
    for found, score in _detector().detect(encodable).scores().items():
        code = _AS_OURS.get(found, found)
        if code in among:
            scores[code] = max(score, scores.get(code, 0.0))
    return scores


@cache
def _detector() -> LanguageDetector:
    from eld import LanguageDetector

    return LanguageDetector()


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


@cache
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


def _table() -> Mapping[str, Mapping[str, Any]]:
    return data_file("mailassist.context", "languages.toml")
