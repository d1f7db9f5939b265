"""What of the attachments goes into a prompt: their text as part of the mail, and pictures where model and price allow.

A picture goes in low detail, which costs a fixed number of tokens, unless text has to be read in it (scanned pages,
screenshots) and its tiles fit too. A page that could not be read in low detail is not sent at all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from mailassist.documents import MISSING, Document, Picture
from mailassist.mail.threads import Conversation, participants_in_common
from mailassist.model.registry import ModelInfo, Usage, cost, image_tokens

MOST_PICTURES = 4  # of one prompt
SHARE = 4  # the part of the token budget that pictures may have even where the text would fill all of it
_LOW_SIDE = 512  # pixels to which a provider shrinks a picture in low detail

Documents = Mapping[str, Sequence[Document]]  # by Message-ID


@dataclass(frozen=True, slots=True)
class SentPicture:
    """A picture that goes to the model, and what it costs."""

    picture: Picture
    detail: Literal["low", "high"]
    tokens: int
    price: float | None  # US dollars; None: not known


def picture_line(sent: SentPicture) -> str:
    """A picture that is sent and its price in one line, for people; the name is from mail."""
    price = "price not known" if sent.price is None else f"${sent.price:.6f}"
    size = f"{sent.picture.width}x{sent.picture.height}"
    return f"{sent.picture.name}, {size}, {sent.detail} detail: {sent.tokens:,} tokens, {price}"


@dataclass(frozen=True, slots=True)
class Sight:
    """Whether pictures may be sent: to which model, and for how much."""

    info: ModelInfo
    dollars: float | None = None  # what the prompt may cost at most; None: no limit
    allowed: bool = True  # by the configuration

    def beside(self, tokens: int) -> Sight:
        """The same with what `tokens` of text leave of the dollars."""
        if self.dollars is None:
            return self
        return replace(self, dollars=max(self.dollars - cost(self.info, Usage(tokens, 0, 0)), 0.0))

    @property
    def refusal(self) -> str:
        """Why no picture can be sent; "" where it can."""
        if not self.allowed:
            return "model.pictures is off"
        sees = "images" in self.info.capabilities and self.info.image is not None
        return "" if sees else "the model takes no pictures"


def chosen(conversation: Conversation, documents: Documents, sight: Sight, room: int) -> list[SentPicture]:
    """The pictures that are sent, of at most `room` tokens: of the message answered first, then of newer ones."""
    sent: list[SentPicture] = []
    dollars = sight.dollars
    recent = [] if sight.refusal else _recent(conversation)
    for document in (one for message_id in recent for one in documents.get(message_id, ())):
        for picture in document.pictures:
            found = _fitting(picture, _is_scan(document), sight, room, dollars)
            if found is not None and len(sent) < MOST_PICTURES:
                sent.append(found)
                room -= found.tokens
                dollars = None if dollars is None else dollars - (found.price or 0.0)
    return sent


def of_participants(conversation: Conversation, documents: Documents) -> Documents:
    """`documents`, oldest message first, without what a stranger brought in with a forged reference."""
    return {one: documents[one] for one in _ids(conversation) if one in documents} if documents else {}


def _ids(conversation: Conversation) -> list[str]:
    """The messages that may enter a prompt."""
    answered = conversation.answered.message
    return [entry.message.message_id for entry in participants_in_common(conversation, answered).entries]


def _recent(conversation: Conversation) -> list[str]:
    """The message answered and those newer."""
    ids = _ids(conversation)
    answered = conversation.answered.message.message_id
    return ids[ids.index(answered) :] if answered in ids else []


def _is_scan(document: Document) -> bool:
    """Whether its pictures are pages whose text can only be seen."""
    return not document.content_type.startswith("image/") and document.note.find("scanned") >= 0


def _fitting(picture: Picture, scan: bool, sight: Sight, room: int, dollars: float | None) -> SentPicture | None:
    """`picture` in the detail that it needs and that fits, else in low detail where it says something then too."""
    small = max(picture.width, picture.height) <= _LOW_SIDE
    has_text = scan or picture.content_type == "image/png"
    details: list[Literal["low", "high"]] = ["low"] if small or not scan else []
    if has_text and not small:
        details.insert(0, "high")
    for detail in details:
        tokens = image_tokens(sight.info, picture.width, picture.height, high_detail=detail == "high")
        price = cost(sight.info, Usage(tokens, 0, 0)) if sight.info.priced else None
        if tokens <= room and (dollars is None or price is None or price <= dollars):
            return SentPicture(picture, detail, tokens, price)
    return None


def told(
    conversation: Conversation, documents: Documents, sent: Sequence[SentPicture], sight: Sight | None
) -> dict[str, list[Document]]:
    """`documents` as the prompt has them: behind their text, or in its place, what is to be said of them.

    A file that comes again with a later message stands there only, one that comes twice (an invitation) once.
    """
    found: dict[str, list[Document]] = {}
    if not documents:
        return found
    numbers = {id(one.picture): number for number, one in enumerate(sent, 1)}
    seen: set[tuple[object, ...]] = set()
    recent = _recent(conversation)
    for message_id in reversed(list(documents)):
        for document in documents[message_id]:
            says = document.text or document.pictures
            key = (document.text, document.pictures) if says else (document.name, document.note)
            if key not in seen:
                seen.add(key)
                note = "not read" if document.note == MISSING else document.note
                lines = [document.text, f"[{note}]" if note else ""]
                lines += [_of_picture(one, numbers, sight, message_id in recent) for one in document.pictures]
                text = "\n".join(line for line in lines if line)
                found.setdefault(message_id, []).append(
                    replace(document, name=document.name or document.content_type, text=text, pictures=())
                )
    return found


def _of_picture(picture: Picture, numbers: Mapping[int, int], sight: Sight | None, recent: bool) -> str:
    what = f"picture {picture.name}, {picture.width}x{picture.height}"
    if number := numbers.get(id(picture)):
        return f"[{what}: image {number}]"
    why = sight.refusal if sight else ""
    why = why or ("it does not fit the budget" if recent else "it is older than the message answered")
    return f"[{what}, not sent: {why}]"
