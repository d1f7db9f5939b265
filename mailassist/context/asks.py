"""What the other side asks, and which of it nobody has answered yet: found by going through the conversation.

What asks is told by `asking`, what answers by `answers`. An answer closes what it takes up: what it quotes, what it
shares words with, what it gives the kind of answer for ("when?" and a date); one that takes up nothing in particular
("Yes, that suits us.") all that is not asked for in particular. A promise or a question back closes nothing. Where
that is doubtful, an ask stays open: one that is missed is worse than one that is repeated.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mailassist.context.answers import LONGEST_TEXT, MOST_SENTENCES, Answer, Wanted, content, items, written
from mailassist.context.asking import LONGEST_ASK as LONGEST_ASK
from mailassist.context.asking import addressee, is_idle, pieces, said
from mailassist.context.asking import asks_of as asks_of
from mailassist.context.clean import data_text
from mailassist.context.matching import terms
from mailassist.context.phrases import folded
from mailassist.context.sentences import is_question
from mailassist.mail.automatic import automatic_reply
from mailassist.mail.message import Address, BlockKind, Message
from mailassist.mail.subjects import is_reply
from mailassist.mail.threads import Conversation, Entry

MOST_ASKS = 12
LOOKED_AT = 40  # of the newest messages: what was asked before is not waited for any more
_MOST_OPEN = 60  # that are kept in mind; the oldest give way
_SHORT_BODY = 12  # words up to which a body leaves what is asked to the subject
_POINTS = 2  # stems up to which an ask only points at what is forwarded: "Can you answer this?"
_ALIKE = 0.75  # of the stems of the shorter ask: what one asked again shares


@dataclass(frozen=True, slots=True)
class Ask:
    """A question or request of the other side that nobody has answered."""

    message_id: str
    day: str  # as above the message in the prompt
    author: str
    text: str  # one sentence, addresses in it as "[...]"
    kind: str  # "question" or "request"


@dataclass(eq=False, slots=True)
class OpenAsk:
    """An ask while the conversation is gone through."""

    entry: Entry
    text: str
    kind: str
    wanted: Wanted
    author: str = field(init=False)
    passed_over: bool = False  # we wrote since, and did not answer it

    def __post_init__(self) -> None:
        self.author = _author(self.entry)


def open_asks(conversation: Conversation) -> list[OpenAsk]:
    """What the other side asked and nobody has answered since, oldest first, each once; at most `MOST_ASKS`."""
    people = _People.of(conversation)
    entries = conversation.entries[-LOOKED_AT:]
    authors = {entry.message.message_id: _author(entry) for entry in entries}
    found: list[OpenAsk] = []
    for entry in entries:
        if automatic_reply(entry.message):
            continue
        if found:
            found = _still_open(found, entry, people, authors)
        if not entry.ours:
            asked = list(_asked(entry, people))
            found = [*(ask for ask in found if not any(_alike(ask, new) for new in asked)), *asked][-_MOST_OPEN:]
    return found[-MOST_ASKS:]


def _asked(entry: Entry, people: _People) -> Iterator[OpenAsk]:
    """What a message asks the user."""
    message = entry.message
    if people.is_for_others(message):
        return
    text = written(message)
    numbers = {folded(item)[:30]: number for number, item in items(text).items()}
    asked = asks_of(text)
    if all(len(content(ask, people.stems)) <= _POINTS for ask, _ in asked):
        asked += asks_of(_forwarded(message)) if asked else []
        asked = _in_subject(message, asked, text) + asked
    others = people.without(message.author)
    for place, (ask, kind) in enumerate(asked, start=1):
        taken_back = kind == "request" and said("withdrawn").search(folded(ask))  # "please ignore my last mail"
        if taken_back or addressee(ask, people.ours, others) == "others":
            continue
        number = next((n for item, n in numbers.items() if folded(ask).startswith(item)), place)
        yield OpenAsk(entry, ask, kind, Wanted.of(ask, number, people.stems))


def _forwarded(message: Message) -> str:
    passed_on = [block.text for block in message.blocks if block.kind is BlockKind.FORWARDED]
    return data_text("\n\n".join(passed_on)[:LONGEST_TEXT], "")


def _in_subject(message: Message, asked: Sequence[tuple[str, str]], text: str) -> list[tuple[str, str]]:
    """What the subject asks, where its author wrote it for this message and asks nothing else below."""
    if asked or is_reply(message.subject):
        return []
    found = asks_of(data_text(message.subject, ""))
    short = len(text.split()) <= _SHORT_BODY
    return [(ask, kind) for ask, kind in found if kind == "question" or short][:1]


def _alike(older: OpenAsk, newer: OpenAsk) -> bool:
    """Whether `newer` is `older` asked again."""
    if older.text.casefold() == newer.text.casefold():
        return True
    if older.author != newer.author or older.entry is newer.entry:
        return False
    one, other = older.wanted, newer.wanted
    fewer = min(len(one.terms), len(other.terms))
    same = len(one.terms & other.terms)
    return same >= 2 and same >= fewer * _ALIKE and (one.hard == other.hard or not (one.hard and other.hard))


def _still_open(found: Sequence[OpenAsk], entry: Entry, people: _People, authors: Mapping[str, str]) -> list[OpenAsk]:
    """The asks that `entry` leaves open: authors take their own back, a third person answers only what fits."""
    author = authors[entry.message.message_id]
    own = [ask for ask in found if ask.author == author]
    closed = _taken_back(own, entry, people) if own and not entry.ours else set()
    theirs = [ask for ask in found if ask.author != author]
    if theirs:
        answer = Answer.of(entry.message, people.stems)
        direct = [ask for ask in theirs if entry.ours and not ask.passed_over and _answers(entry, ask, authors)]
        older = [ask for ask in theirs if ask not in direct]
        done = answer.closes([ask.wanted for ask in direct], [ask.wanted for ask in older])
        closed |= {id(ask) for ask in theirs if id(ask.wanted) in done}
        for ask in direct:
            ask.passed_over = True
    return [ask for ask in found if id(ask) not in closed]


def _answers(entry: Entry, ask: OpenAsk, authors: Mapping[str, str]) -> bool:
    """Whether our message is an answer to the one that asks: it names no other, or one of the same author."""
    return entry.parent is None or authors.get(entry.parent) == ask.author


def _taken_back(own: Sequence[OpenAsk], entry: Entry, people: _People) -> set[int]:
    """The asks that their author takes back ("never mind"), or names as settled."""
    closed: set[int] = set()
    for sentence in islice(pieces(written(entry.message)), MOST_SENTENCES):
        lower = folded(sentence)
        if is_question(sentence) and not is_idle(sentence):
            continue
        back = bool(said("withdrawn").search(lower))
        known = (
            said("settled").search(lower) and not said("ahead").search(lower) and not said("unsettled").search(lower)
        )
        if not back and not known:
            continue
        about = content(sentence, people.stems)
        named = [ask for ask in own if _names(about, ask.wanted, at_least=1 if back else 2)]
        if back and not named:
            newest = own[-1].entry
            named = [ask for ask in own if ask.entry is newest]
        closed.update(map(id, named))
    return closed


def _names(about: frozenset[str], ask: Wanted, at_least: int) -> bool:
    shared = len(about & ask.terms)
    return shared >= at_least or (shared > 0 and shared == len(ask.terms))


def _author(entry: Entry) -> str:
    author = entry.message.author
    return "" if entry.ours else (author.key if author else "?")


@dataclass(frozen=True, slots=True)
class _People:
    """The names of those who write and read."""

    conversation: Conversation
    ours: frozenset[str]  # words in lower case
    others: frozenset[str]
    stems: frozenset[str]  # of all names

    @classmethod
    def of(cls, conversation: Conversation) -> _People:
        """Those of `conversation`, as its newest messages name them."""
        own = conversation.own
        ours: set[str] = set()
        others: set[str] = set()
        for entry in conversation.entries[-LOOKED_AT:]:
            message = entry.message
            for address in (*message.from_[:5], *message.to[:20], *message.cc[:20]):
                (ours if own.owns(address.email) else others).update(_name_words(address))
        stems = {stem for word in (*ours, *others) for stem in terms(word)}
        known = others - ours if ours else ()  # through an alias or a list, anybody there may be the user
        return cls(conversation, frozenset(ours), frozenset(known), frozenset(stems))

    def without(self, author: Address | None) -> frozenset[str]:
        """The names of the others but for those of `author`."""
        return self.others.difference(_name_words(author)) if author else self.others

    def is_for_others(self, message: Message) -> bool:
        """Whether a message that the user only got a copy of greets somebody else by name."""
        own = self.conversation.own
        if any(own.owns(one.email) for one in message.to) or not any(own.owns(one.email) for one in message.cc):
            return False
        readers = {word for address in message.to for word in _name_words(address)}
        first = folded(written(message)[:200]).partition("\n")[0]
        words = first.rstrip(" ,:!-–").split()
        return len(words) <= 4 and bool(readers.intersection(words)) and not self.ours.intersection(words)


def _name_words(address: Address) -> list[str]:
    name = address.name or address.email.partition("@")[0]
    return [word for word in folded(name[:80]).replace(",", " ").replace(".", " ").split() if len(word) > 1]
