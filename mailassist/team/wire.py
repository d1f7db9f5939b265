"""What goes over the daemon's socket: one JSON object a line, in both directions.

The daemon begins with a greeting: `{mailassist: "review", protocol, daemon, who, role}`, or `{error}` for somebody who
has no role. A request is `{id, call, arguments, again}`, its answer `{id, result}` or `{id, error}`; an error is
`{kinds, message, cure}`, the most exact kind first. One request at a time on a connection.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from mailassist import errors
from mailassist.errors import InputError, MailassistError
from mailassist.store.drafts import DraftChanged
from mailassist.team.queue import Approval, Item, NotAllowed, Note, Role, Stopped, Taken, Text

PROTOCOL = 1
REQUEST_BYTES = 4 * 1024 * 1024  # of one line
ANSWER_BYTES = 64 * 1024 * 1024
Again = Literal["yes", "looked up", "no"]


class Request(BaseModel):
    """One request as it comes in."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    id: Annotated[str, Field(min_length=1, max_length=64)]  # of the client; the same for a repetition
    call: Annotated[str, Field(max_length=40)]
    arguments: dict[str, Any] = {}
    again: bool = False  # the first try went to a daemon that is gone


def _storable(text: str) -> str:
    """Raises ValueError for what no database takes."""
    if "\0" in text or any("\ud800" <= one <= "\udfff" for one in text):
        raise ValueError("NUL or half a character")
    return text


Number = Annotated[int, Field(ge=0, le=2**63 - 1)]
Line = Annotated[str, Field(max_length=1000), AfterValidator(_storable)]
Words = Annotated[str, Field(max_length=500_000), AfterValidator(_storable)]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Nothing(_Arguments):
    pass


class _Items(_Arguments):
    through: bool = False


class _Texts(_Arguments):
    case_ids: Annotated[list[Number], Field(max_length=5000)]


class _Case(_Arguments):
    case_id: Number


class _HandOver(_Case):
    to: Line
    note: Words = ""


class _Note(_Case):
    text: Words


class _SaveText(_Case):
    text: Words
    base: Number
    reply_all: bool
    written_by: Literal["person", "model"] = "person"


class _Approval(_Arguments):
    approval_id: Number


class _Close(_Approval):
    state: Literal["sent", "stopped", "refused", "unknown"]
    said: Words


class _Settle(_Case):
    state: Literal["sent", "stopped"]


class _Discard(_Case):
    reason: Words


def _small(details: dict[str, Any]) -> dict[str, Any]:
    """Raises ValueError for what is no JSON or long."""
    if len(json.dumps(details, allow_nan=False)) > 10_000:
        raise ValueError("too long")
    return details


class _Record(_Arguments):
    action: Annotated[str, Field(pattern=r"^[a-z][a-z _.-]{0,60}$")]
    mailbox: Line = ""
    case_id: Number | None = None
    written: Words = ""
    sent: Words = ""
    details: Annotated[dict[str, Any], AfterValidator(_small)] = {}


@dataclass(frozen=True)
class Call:
    """One method that can be asked for."""

    arguments: type[BaseModel]
    result: Any = None  # its type
    changes: bool = True
    # Whether it may be repeated at a daemon that has started since, which does not know what the one before did.
    again: Again = "yes"
    role: Role = Role.SEE  # the queue itself checks its methods

    @cached_property
    def _type(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.result)

    def packed(self, result: object) -> bytes:
        """A result as JSON. Raises ValueError."""
        return self._type.dump_json(result)

    def unpacked(self, result: object) -> Any:
        """A result from what JSON gave. Raises ValueError."""
        return self._type.validate_python(result)

    def read(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments, checked. Raises InputError."""
        try:
            read = self.arguments.model_validate(dict(arguments))
        except ValidationError as error:
            raise _mistake(error) from None
        return {name: getattr(read, name) for name in type(read).model_fields}


CALLS: Mapping[str, Call] = {
    "who": Call(_Nothing, tuple[str, Role], changes=False),
    "items": Call(_Items, Sequence[Item], changes=False),
    "texts": Call(_Texts, Mapping[int, Text], changes=False),
    "notes": Call(_Case, Sequence[Note], changes=False),
    "mine_open": Call(_Nothing, Sequence[Approval], changes=False),
    "status": Call(_Nothing, dict[str, Any], changes=False),
    "claim": Call(_Case, Item),  # whoever has it keeps it
    "release": Call(_Case),
    "save_text": Call(_SaveText, Text, again="looked up"),
    "begin_approval": Call(_Note, Approval, again="looked up"),
    "checked": Call(_Approval),
    "leaving": Call(_Approval),
    "close_approval": Call(_Close),
    "settle": Call(_Settle, again="no"),
    "retry": Call(_Case, again="no"),
    "discard": Call(_Discard, again="looked up"),
    "hand_over": Call(_HandOver, again="no"),
    "add_note": Call(_Note, again="no"),
    "record": Call(_Record, int, again="no", role=Role.DRAFT),
}


def read_request(line: bytes) -> Request:
    """A request from its line. Raises InputError."""
    try:
        return Request.model_validate_json(line)
    except ValidationError as error:
        raise _mistake(error) from None


def call_of(request: Request) -> Call:
    """What is asked for. Raises InputError."""
    call = CALLS.get(request.call)
    if call is None:
        raise InputError("The daemon does not know this call", cure="Is it older than this mailassist? Restart it.")
    return call


def result_line(request: Request, result: bytes) -> bytes:
    """The answer that went well."""
    return b'{"id":%s,"result":%s}\n' % (json.dumps(request.id).encode(), result)


def error_line(error: MailassistError, request: Request | None = None) -> bytes:
    """The answer that did not; `request`: None where none could be read."""
    kinds = [kind.__name__ for kind in type(error).__mro__ if issubclass(kind, MailassistError)]
    said = {"kinds": kinds, "message": error.message, "cure": error.cure}
    return json.dumps({"id": request.id if request else None, "error": said}).encode() + b"\n"


def raised(said: object) -> MailassistError:
    """The error that an answer tells of, as the same class, or the nearest that is known here."""
    if not isinstance(said, dict):
        return MailassistError("The daemon answered something that is no answer")
    kind = next((_KINDS[one] for one in said.get("kinds", ()) if one in _KINDS), MailassistError)
    return kind(str(said.get("message", "")), cure=str(said.get("cure", "")))


def _mistake(error: ValidationError) -> InputError:
    """Where the first mistake is, without what stood there."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    where = ".".join(str(part)[:40] for part in first["loc"]) or "the line"
    return InputError(f"The request is not what it should be: {where}: {first['type']}")


_KINDS: Mapping[str, type[MailassistError]] = {
    kind.__name__: kind
    for kind in (*vars(errors).values(), NotAllowed, Taken, Stopped, DraftChanged)
    if isinstance(kind, type) and issubclass(kind, MailassistError)
}
