"""What an answer takes up of what was asked: by what it quotes, by numbers, by words, by the kind of answer, or all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from mailassist.context.asking import pieces, requests_in, said, without_addresses
from mailassist.context.clean import data_text
from mailassist.context.matching import answer_kinds, asked_kinds, is_particular, terms
from mailassist.context.phrases import folded
from mailassist.context.sentences import is_question
from mailassist.mail.message import BlockKind, Message

LONGEST_TEXT = 20_000  # characters of a message that are looked at
MOST_SENTENCES = 100  # of an answer
_TOLD_BY_FORM = frozenset({"time", "amount"})  # kinds of answer that are known for certain where they stand
_LONGEST_GREETING = 5  # words
_MOST_COURTESIES = 4  # clauses before an answer

_QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.MULTILINE)  # what they answered there
_WORDS = re.compile(r"\w+")
_ITEM = re.compile(r"^[ \t]*(?:\(?(\d{1,2})[.):]|#(\d{1,2})[.):]?)[ \t]+(\S.*)$", re.MULTILINE)
_CLAUSE_END = re.compile(r"[,;:!?.…،，、。！]+|\s[-–—]+\s")
# Pairs of characters that say nothing of what a text is about: Japanese endings, Chinese particles, Korean endings.
_EMPTY_PAIR = re.compile(
    "[\u3040-\u309f]{1,2}|.?[的了是我你您们們吗嗎呢吧啊请請什么麼把给給在和也都就会會可以能有不这這那].?"
    "|[\u0370-\u03ff]{1,3}|[\u0590-\u06ff]{1,2}"  # articles and particles of Greek, Hebrew, Arabic
    "|니다|습니|합니|입니|세요|주세|하세|까요|니까|드립|립니|주시|시면|겠습"
)


def written(message: Message) -> str:
    """What the author of `message` wrote there, and nothing of what it quotes."""
    return _QUOTED_LINE.sub("", data_text((message.reply or message.text)[:LONGEST_TEXT], ""))


def content(text: str, names: Collection[str] = ()) -> frozenset[str]:
    """The stems that say what `text` is about; `names` (stems, too) say nothing."""
    return frozenset(term for term in terms(text) if not _EMPTY_PAIR.fullmatch(term) and term not in names)


def items(text: str) -> dict[int, str]:
    """The items of a numbered list in `text`."""
    return {int(found.group(1) or found.group(2)): found.group(3) for found in _ITEM.finditer(text)}


@dataclass(eq=False, slots=True)
class Wanted:
    """An ask as answers are compared with it."""

    text: str
    terms: frozenset[str]
    kinds: frozenset[str]
    number: int  # of the list's item, or its place among what its message asks
    words: str = field(init=False)
    particular: bool = field(init=False)  # "when?", which no yes answers
    hard: frozenset[str] = field(init=False)  # the kinds of answer without which nothing answers it

    def __post_init__(self) -> None:
        self.words = _spoken(self.text)
        self.particular = bool(self.kinds) and (is_particular(self.text) or len(self.text.split()) <= 2)  # "price?"
        self.hard = self.kinds & _TOLD_BY_FORM if self.particular else frozenset()

    @classmethod
    def of(cls, text: str, number: int, names: Collection[str]) -> Wanted:
        """What `text` asks; `names` are stems that say nothing."""
        return cls(text, content(text, names), asked_kinds(text), number)


@dataclass(eq=False, slots=True)
class _Said:
    """A sentence of an answer: what it is about, what it gives, and what it does."""

    terms: frozenset[str]
    kinds: frozenset[str]
    does: str  # "says", "asks", "requests", "defers", or "greets" (thanks, wishes, nothing at all)
    agrees: bool = False  # it begins with yes or no
    to_all: bool = False  # "yes to both"
    text: str = ""
    speaks: bool = True  # it has words other than thanks and names


@dataclass(frozen=True, slots=True)
class Answer:
    """What one message says, ready to be compared with what was asked."""

    said: tuple[_Said, ...]  # all of it
    quoting: tuple[tuple[str, tuple[_Said, ...]], ...]  # what it quotes, words only, and what stands below that
    numbered: dict[int, _Said]

    @classmethod
    def of(cls, message: Message, names: Collection[str]) -> Answer:
        """What `message` says; `names`: stems of the names of those who write."""
        text = written(message)
        quoting = [(quoted, tuple(_read(below, names))) for quoted, below in _quoting(message)]
        numbered = {number: one for number, item in items(text).items() for one in _read(item, names)}
        return cls(tuple(_read(text, names)), tuple(quoting), numbered)

    def closes(self, asked: Sequence[Wanted], older: Sequence[Wanted]) -> set[int]:
        """Which asks it answers (the `id` of each): of those it is the answer to (`asked`), and of `older` ones."""
        closed: set[int] = set()
        named: set[int] = set()
        for quoted, below in self.quoting:
            there = [ask for ask in (*asked, *older) if ask.words and f" {ask.words} " in quoted]
            named.update(map(id, there))
            closed |= _taken_up(there, below) | _right_below(there, below)
        rest = [ask for ask in asked if id(ask) not in named]
        if self.numbered and not self.quoting:
            hit = [ask for ask in rest if ask.number in self.numbered]
            closed |= {id(ask) for ask in hit if self.numbered[ask.number].does not in ("asks", "defers")}
            if len(hit) > 1 or (hit and len(rest) > 1):
                return closed | self._told(older)
        closed |= self._told(rest) if self.quoting else _taken_up(rest, self.said)
        return closed | self._told([ask for ask in older if id(ask) not in named])

    def _told(self, asks: Iterable[Wanted]) -> set[int]:
        """Which of `asks` it answers in so many words, though it is no answer to them in particular."""
        return {id(ask) for ask in asks if any(_says(one, ask) for one in self.said if one.does == "says")}


def _right_below(asks: Sequence[Wanted], said: Sequence[_Said]) -> set[int]:
    """The one ask that is quoted, where anything is said to it."""
    if len(asks) != 1 or any(one.does in ("asks", "defers") for one in said):
        return set()
    return {id(ask) for ask in asks if any(one.speaks for one in said)}


def _says(one: _Said, ask: Wanted) -> bool:
    """Whether a sentence speaks of most of `ask`, and gives what it wants."""
    shared = len(one.terms & ask.terms)
    if shared < 2 and shared * 2 < len(ask.terms):
        return False
    return shared > 0 and (not ask.hard or bool(ask.hard & one.kinds) or shared * 3 > len(ask.terms) * 2)


def _taken_up(asks: Sequence[Wanted], said: Sequence[_Said]) -> set[int]:
    """Which of `asks` an answer to just these answers."""
    if not asks:
        return set()
    speech = [one for one in said if one.does != "greets"]
    claims = _by_words(asks, speech)
    kept = _kept_open(asks, speech)
    _by_kind(asks, speech, claims)
    _in_order(asks, speech, claims)
    closed = {id(asks[place]) for place in claims.places}
    left = [ask for ask in asks if id(ask) not in closed and id(ask) not in kept]
    free = [one for number, one in enumerate(speech) if number not in claims.sentences and one.does == "says"]
    return closed | _as_a_whole(left, free, speech, alone=not claims.made)


@dataclass(slots=True)
class _Claims:
    """Which sentence (its number) answers which ask (its place)."""

    made: list[tuple[int, int]] = field(default_factory=list)

    @property
    def sentences(self) -> set[int]:
        """The numbers of the sentences that answer something."""
        return {number for number, _ in self.made}

    @property
    def places(self) -> set[int]:
        """The places of the asks that are answered."""
        return {place for _, place in self.made}


def _by_words(asks: Sequence[Wanted], speech: Sequence[_Said]) -> _Claims:
    """Which sentence speaks of which asks: the one it is nearest to, and those of which it has words of their own."""
    common = Counter(term for ask in asks for term in ask.terms)
    claims = _Claims()
    for number, one in enumerate(speech):
        if one.does not in ("says", "requests"):
            continue
        near = [_nearness(one, ask, common) for ask in asks]
        for place, ask in enumerate(asks):
            own = any(common[term] == 1 for term in one.terms & ask.terms)
            nearest = near[place] >= 1 and (own or near[place] == max(near))
            if nearest and _gives(one, ask, speech[number + 1 : number + 2]):
                claims.made.append((number, place))
    return claims


def _nearness(one: _Said, ask: Wanted, common: Counter[str]) -> float:
    """How much a sentence speaks of `ask`; from 1 on it does. What other asks share says less."""
    shared = one.terms & ask.terms
    if not shared:
        return 0.0
    own = sum(common[term] == 1 for term in shared)
    share = len(shared) / len(ask.terms)
    return own + share if own else (1 + share if share >= 0.5 and len(shared) >= 2 else share)


def _gives(one: _Said, ask: Wanted, following: Sequence[_Said]) -> bool:
    """Whether a sentence that speaks of `ask`, or the one behind it, gives the kind of answer it wants."""
    if not ask.hard or len(one.terms & ask.terms) * 3 > len(ask.terms) * 2:
        return True
    return any(ask.hard & more.kinds for more in (one, *following) if more.does == "says")


def _by_kind(asks: Sequence[Wanted], speech: Sequence[_Said], claims: _Claims) -> None:
    """Add to `claims` what gives the kind of answer that an ask wants; each sentence for one ask of a kind."""
    used = {(number, kind) for number, place in claims.made for kind in asks[place].kinds}
    spoken_for, answered = claims.sentences, claims.places
    for place, ask in enumerate(asks):
        if place in answered or not ask.kinds:
            continue
        for number, one in enumerate(speech):
            kinds = one.kinds & (ask.hard if number in spoken_for else ask.kinds)
            fits = {kind for kind in kinds if (number, kind) not in used}
            if one.does == "says" and fits and (len(asks) == 1 or fits & _new_kinds(one, ask, asks)):
                used.update((number, kind) for kind in fits)
                spoken_for.add(number)
                claims.made.append((number, place))
                break


def _new_kinds(one: _Said, ask: Wanted, asks: Sequence[Wanted]) -> frozenset[str]:
    """The kinds of answer in a sentence without the words of the other asks: "Thursday is fine" tells no time."""
    others = {word for other in asks if other is not ask for word in other.words.split()}
    return answer_kinds(_WORDS.sub(lambda word: "" if folded(word.group()) in others else word.group(), one.text))


def _in_order(asks: Sequence[Wanted], speech: Sequence[_Said], claims: _Claims) -> None:
    """Add to `claims` sentences right before one that answers an ask, for the ask right before that."""
    for number, place in sorted(claims.made, reverse=True):
        free = number > 0 and number - 1 not in claims.sentences and speech[number - 1].does == "says"
        if free and place > 0 and place - 1 not in claims.places and not asks[place - 1].hard:
            claims.made.append((number - 1, place - 1))


def _kept_open(asks: Sequence[Wanted], speech: Sequence[_Said]) -> set[int]:
    """Which of `asks` the answer itself says are open: it promises an answer, or asks back."""
    common = Counter(term for ask in asks for term in ask.terms)
    back = [one for one in speech if one.does in ("asks", "defers")]
    return {id(ask) for ask in asks for one in back if _nearness(one, ask, common) >= 1}


def _as_a_whole(left: Sequence[Wanted], free: Sequence[_Said], speech: Sequence[_Said], *, alone: bool) -> set[int]:
    """Which of what is `left` the sentences answer that speak of nothing in particular: "Yes, that suits us."."""
    if any(one.to_all and one.does == "says" for one in speech):
        return {id(ask) for ask in left if not ask.hard}
    open_ended = [ask for ask in left if not ask.particular]
    if any(one.agrees for one in free):
        return {id(ask) for ask in open_ended if alone or len(open_ended) == 1}
    if any(one.does in ("asks", "defers") for one in speech):
        return set()
    return {id(ask) for ask in open_ended} if alone and free and len(free) >= len(open_ended) else set()


def _read(text: str, names: Collection[str]) -> Iterator[_Said]:
    """The sentences of an answer."""
    requests = requests_in(text)
    for number, sentence in enumerate(pieces(text)):
        if number >= MOST_SENTENCES:
            return
        rest = _without_courtesies(folded(sentence))
        about = content(rest, names)
        if not number and _is_greeting(sentence, rest):
            continue
        agrees = bool(said("yes_no").match(rest))
        to_all = bool(said("all").search(rest))
        if said("later").search(rest):
            does = "defers"
        elif is_question(sentence) and not said("proposes").search(rest):
            does = "asks"
        elif not (about or agrees or to_all or any(map(str.isdigit, rest))):
            does = "greets"
        elif not (agrees or to_all) and requests.holds(folded(sentence)):
            does = "requests"
        else:
            does = "says"
        yield _Said(about, answer_kinds(sentence), does, agrees, to_all, sentence, _speaks(rest, names))


def _speaks(rest: str, names: Collection[str]) -> bool:
    return any(not (stems := terms(word)) or not names or not set(stems) <= set(names) for word in _WORDS.findall(rest))


def _is_greeting(sentence: str, rest: str) -> bool:
    """Whether the first sentence only greets, with a name perhaps that no header has; `rest`: without courtesies."""
    words = sentence.rstrip(" ,:!，：！").split()
    if sentence[-1:] in ",，:：" and len(words) <= _LONGEST_GREETING:
        return True
    named = len(rest) < len(sentence) and sentence[-1:] in "!！" and words[-1][:1].isupper()
    return named and len(rest.split()) <= 2 and not said("yes_no").match(rest)


def _without_courtesies(sentence: str) -> str:
    """A folded sentence without the clauses at its beginning that greet or thank."""
    rest = sentence.strip()
    for _ in range(_MOST_COURTESIES):
        if not said("courtesy").match(rest):
            break
        end = _CLAUSE_END.search(rest)
        rest = rest[end.end() :].strip() if end else ""
    return rest


def _quoting(message: Message) -> Iterator[tuple[str, str]]:
    """What a message quotes to answer it, words only, and what its author wrote right below each."""
    quoted, below = "", ""
    for block in message.blocks:
        if block.kind is BlockKind.ANSWERED:
            if below.strip():
                yield f" {_spoken(quoted)} ", below
                quoted, below = "", ""
            quoted += " " + block.text[:LONGEST_TEXT]
        elif block.kind is BlockKind.OWN and quoted:
            below += block.text[:LONGEST_TEXT]
    if quoted and below.strip():
        yield f" {_spoken(quoted)} ", below


def _spoken(text: str) -> str:
    """The words of `text`, one space between them: no marks, no quote marks, no line ends."""
    return " ".join(_WORDS.findall(folded(without_addresses(text))))
