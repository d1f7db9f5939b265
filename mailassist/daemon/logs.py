"""The daemon's log: one JSON object a line on standard error, without secrets and, unless asked for, without content.

What may be printed is decided by type: `Secret` never, `Address` and `Subject` only with `daemon.log_content`,
`MessageId` as a keyed hash. Plain texts lose passwords, keys and addresses by their shape, and every secret that was
handed to `keep_out` by its value; objects of other types leave no more than the name of their type. An error of ours is
one line; of a bug there is the traceback, without the values of variables and without the exception's own text, which
may quote mail.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import Any, ClassVar, TextIO

import structlog
from pydantic import SecretBytes, SecretStr

from mailassist.errors import MailassistError, OutputFailed
from mailassist.mail.safe_text import SafeText

LONGEST = 500  # characters of one value
MASK = "***"

_URL_LOGIN = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@?#]+@", re.IGNORECASE)
_ADDRESS = re.compile(r"[^\s<>()\[\]\"',;:/@]{1,64}(?<!/\*\*\*)@[^\s<>()\[\]\"',;:/@]{1,255}")
_NAME = r"[\w-]*(?:password|passwd|passphrase|secret|token|api[_-]?key|signature|credential)s?"
_NAMED = re.compile(rf"(?P<name>{_NAME})(?P<is>[\"']?\s*[=:]\s*[\"']?)(?P<value>[^\s\"'&,;]+)", re.IGNORECASE)
_SHAPES = re.compile(
    r"(?P<said>\b(?:[Bb]earer|[Bb]asic)\s+)[\w+/=.~-]{8,}|(?P<command>\b(?:AUTHENTICATE|LOGIN)\s+\S+\s+)\S+"
    r"|\bsk-[\w-]{8,}|\beyJ[\w-]{8,}[\w.-]*"
)


class Masked:
    """A value that the log shows only where its kind may be shown; its `repr` and `str` never do."""

    __slots__ = ("_value",)
    content: ClassVar[bool] = True  # may be shown with `log_content`

    def __init__(self, value: object) -> None:
        """`value`: anything; its `str` counts."""
        self._value = str(value)

    def __repr__(self) -> str:
        """The mask."""
        return MASK

    def shown(self, *, log_content: bool, key: bytes) -> str:
        """What the log says. `key`: of the hashes."""
        return SafeText(self._value).line() if log_content and self.content else MASK


class Secret(Masked):
    """A password, token or key: never shown."""

    __slots__ = ()
    content = False


class Address(Masked):
    """A mail address, with or without a name."""

    __slots__ = ()


class Subject(Masked):
    """A subject, or any other text from mail."""

    __slots__ = ()


class MessageId(Masked):
    """A Message-ID: shown as a keyed hash, so that the lines about one message can be found together."""

    __slots__ = ()

    def shown(self, *, log_content: bool, key: bytes) -> str:
        """The first 16 hexadecimal digits of HMAC-SHA-256."""
        return hmac.digest(key, b"log " + self._value.encode("utf-8", "surrogatepass"), "sha256").hex()[:16]


class _Redaction:
    """What may stand in a line: the last step before it is written."""

    def __init__(self) -> None:
        self.key = b""
        self.log_content = False
        self._secrets: frozenset[str] = frozenset()
        self._lock = threading.Lock()

    def keep_out(self, secret: str) -> None:
        with self._lock:
            if len(secret) >= 4:  # shorter ones would take ordinary words with them
                self._secrets |= {secret}

    def text(self, value: object) -> str:
        """A plain text without what looks like a secret, or an address where these are not shown; on one line."""
        line = str(SafeText(value).line())
        for secret in self._secrets:
            line = line.replace(secret, MASK)
        line = _URL_LOGIN.sub(rf"\g<scheme>{MASK}@", line)
        line = _NAMED.sub(rf"\g<name>\g<is>{MASK}", line)
        line = _SHAPES.sub(lambda found: (found["said"] or found["command"] or "") + MASK, line)
        if not self.log_content:
            line = _ADDRESS.sub(f"{MASK}@{MASK}", line)
        return line if len(line) <= LONGEST else line[:LONGEST] + "…"

    def field(self, name: object, value: object, depth: int = 0) -> tuple[str, object]:
        """A name and its value; a text whose name says what it is is a secret."""
        secret = isinstance(value, str | bytes) and re.fullmatch(_NAME, str(name), re.IGNORECASE)
        return self.text(name), MASK if secret else self.value(value, depth)

    def value(self, value: object, depth: int = 0) -> object:
        """`value` as JSON may have it."""
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Masked):
            return value.shown(log_content=self.log_content, key=self.key)
        if isinstance(value, SecretStr | SecretBytes):
            return MASK
        if isinstance(value, str | Path):
            return self.text(value)
        if isinstance(value, BaseException):
            return self.error(value)
        if isinstance(value, Mapping) and depth < 4:
            return dict(self.field(name, one, depth + 1) for name, one in value.items())
        if isinstance(value, list | tuple | set | frozenset) and depth < 4:
            return [self.value(one, depth + 1) for one in value]
        return f"<{type(value).__name__}>"

    def error(self, error: BaseException) -> str:
        """One line: ours whole, the system's by its number, of a bug its type (with `log_content` its text)."""
        if isinstance(error, MailassistError):
            return self.text(f"{type(error).__name__}: {error}")
        name = type(error).__name__
        if isinstance(error, OSError) and error.strerror:
            return self.text(f"{name}: {error.strerror}")
        return self.text(f"{name}: {error}") if self.log_content else name

    def traceback(self, error: BaseException, trace: TracebackType | None) -> list[str]:
        """File, line, function and source of each frame, outermost first: no values."""
        frames = traceback.extract_tb(trace)
        lines = [self.text(f"{frame.filename}:{frame.lineno} {frame.name}: {frame.line}") for frame in frames]
        before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if before is not None:
            lines = [*self.traceback(before, before.__traceback__), "then:", *lines]
        return [*lines, self.error(error)]


_redaction = _Redaction()


def set_up(*, key: bytes, log_content: bool = False, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Write the log of this process from now on.

    `key`: for hashes of Message-IDs (the store's); `log_content`: show addresses and subjects; `level`: of our lines,
    other libraries' are written from WARNING on; `stream`: standard error where None. What would end a thread or the
    process is logged, too.
    """
    _redaction.key, _redaction.log_content = key, log_content
    _configure(level, stream)
    root = logging.getLogger()
    root.handlers = [_OtherLibraries()]
    root.setLevel(logging.WARNING)
    for name in list(logging.root.manager.loggerDict):  # imapclient at DEBUG would write whole logins
        other = logging.getLogger(name)
        other.setLevel(max(other.level, logging.WARNING))
        other.handlers, other.propagate = [], True
    logging.captureWarnings(True)
    sys.excepthook = lambda _kind, error, _trace: _ended("the process ends", error)
    threading.excepthook = lambda said: _ended("a thread ends", said.exc_value)
    sys.unraisablehook = lambda said: _ended("an error that nobody could catch", said.exc_value)


def keep_out(secret: SecretStr | str) -> None:
    """Never let this value into the log, whatever text it is part of (a server may quote it)."""
    value = secret.get_secret_value() if isinstance(secret, SecretStr) else secret
    _redaction.keep_out(value)


def logger(part: str) -> Any:
    """The log of one part of the daemon: `.info("looked", mailbox="support", new=3)`, `.warning`, `.exception`.

    The event is a fixed text; what changes goes into the fields. `error=` takes an exception.
    """
    return structlog.get_logger(part=part)


@contextmanager
def about(**fields: object) -> Iterator[None]:
    """Add `fields` to each line of this thread: mailbox, arrival, case."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


@contextmanager
def timed(log: Any, event: str, **fields: object) -> Iterator[MutableMapping[str, object]]:
    """Log `event` with `seconds` at the end, at level info; the body may add fields to the mapping that it gets."""
    started = monotonic()
    more: dict[str, object] = {}
    yield more
    log.info(event, **fields, **more, seconds=round(monotonic() - started, 3))


def without_addresses(text: str) -> str:
    """`text` on one line, made safe, with each mail address masked."""
    return _ADDRESS.sub(f"{MASK}@{MASK}", SafeText(text).line())


def _configure(level: int, stream: TextIO | None) -> None:
    structlog.configure(
        processors=[structlog.contextvars.merge_contextvars, structlog.processors.add_log_level, _line],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: _Lines(stream),
        cache_logger_on_first_use=False,
    )


def _line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    fields = dict(event)
    error = _raised(fields.pop("exc_info", None))
    said = {
        "at": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": fields.pop("level", "info"),
        "part": fields.pop("part", ""),
        "event": _redaction.text(fields.pop("event", "")),
    }
    said |= dict(_redaction.field(name, value) for name, value in fields.items())
    if error is not None:
        said["error"] = _redaction.error(error)
        if not isinstance(error, MailassistError):
            said["traceback"] = _redaction.traceback(error, error.__traceback__)
    return json.dumps(said, ensure_ascii=True)


def _raised(said: object) -> BaseException | None:
    if isinstance(said, BaseException):
        return said
    if isinstance(said, tuple):
        return said[1] if isinstance(said[1], BaseException) else None
    return sys.exc_info()[1] if said else None


class _Lines:
    """Writes whole lines, one at a time; that nobody reads them any more stops no work."""

    _writing = threading.Lock()

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        with self._writing, suppress(OSError, ValueError, OutputFailed):
            stream = self._stream or sys.stderr
            stream.write(line + "\n")
            stream.flush()

    debug = info = warning = error = critical = exception = log = msg


class _OtherLibraries(logging.Handler):
    """What other libraries log through `logging`, as lines of ours.

    The arguments of a record may hold anything: they are shown with `log_content` only.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record."""
        whole = _redaction.log_content or not record.args or record.name == "py.warnings"
        try:
            text = record.getMessage() if whole else str(record.msg)
        except (TypeError, ValueError):
            text = str(record.msg)
        fields = {"exc_info": record.exc_info} if record.exc_info else {}
        log = structlog.get_logger(part=record.name)
        (log.error if record.levelno >= logging.ERROR else log.warning)("another library says", text=text, **fields)


def _ended(event: str, error: BaseException | None) -> None:
    if isinstance(error, SystemExit | KeyboardInterrupt):
        return
    structlog.get_logger(part="daemon").critical(event, exc_info=error)


_configure(logging.WARNING, None)  # parts that are used without the daemon: never structlog's own way, which shows all
