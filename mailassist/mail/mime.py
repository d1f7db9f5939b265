"""The structure of a MIME message (RFC 2045, 2046): its leaf parts as ranges of bytes, found in one pass.

The standard library's parser recurses into what it finds (RecursionError at about 1,000 nested multiparts) and copies
each part; this pass keeps a stack of its own, copies nothing, and stops at the limits before anything is decoded. The
parameters of a part's header fields are read by `email.message.Message`, which knows RFC 2231 and its abuses.
"""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass, field
from email.message import Message as HeaderFields
from email.utils import collapse_rfc2231_value
from functools import lru_cache

from mailassist.mail.header_fields import decode_words, split_headers

LEFT_FIELD = "X-Mailassist-Left"  # which we put into the header of a part whose body stays on the server: its size

_LONGEST_PARAMETERS = 8_000  # the standard library reads parameters in quadratic time
_WORD = re.compile(r"\s*[\w.+/-]+\s*")
_PARAMETER = re.compile(r';\s*([A-Za-z][\w-]*)\s*=\s*(?:"([^"\\\r\n]*)"|([^\s;"\\()<>,=\']+))\s*')
_MOST_CANDIDATES = 300_000  # lines that begin with "--"
_BORDER = re.compile(rb"(?:\A|\n)--([^\r\n]{1,200}?)[ \t]*\r?\n(?=content-[a-z-]{1,40}[ \t]*:)", re.IGNORECASE)
_BEFORE_BORDER = 4_000  # bytes before the first part in which a border that no header names is looked for
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/=\s]")
_BASE64_LINES = re.compile(rb"(?:[A-Za-z0-9+/]*={0,2}[ \t]*\r?\n)*+")
_LEAST_BASE64 = 16  # letters in front of text that are no words


@dataclass(frozen=True, slots=True)
class PartHeader:
    """What a part's header fields say of it."""

    content_type: str = "text/plain"
    charset: str = ""
    boundary: str = ""
    encoding: str = ""
    disposition: str = ""
    name: str = ""
    content_id: str = ""
    flowed: bool = False
    delsp: bool = False
    protocol: str = ""
    smime_type: str = ""
    report_type: str = ""
    left: int = 0  # bytes of the body that stayed on the server


@dataclass(slots=True)
class Part:
    """A leaf: its header, where its body lies, and where it stands."""

    header: PartHeader
    start: int
    end: int
    depth: int
    alternative: int | None = None  # which multipart/alternative it is a choice of
    related: bool = False  # inside multipart/related
    subject: str = ""  # of an attached message


@dataclass(slots=True)
class Structure:
    """The leaves in order, the types of the containers, and what was odd."""

    parts: list[Part] = field(default_factory=list)
    containers: list[PartHeader] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    too_complex: bool = False

    def over(self, what: str) -> None:
        """Note once that a limit was reached."""
        self.too_complex = True
        warning = f"structure-limit: {what}"
        if warning not in self.warnings:
            self.warnings.append(warning)


def part_header(fields: tuple[tuple[str, str], ...]) -> PartHeader:
    """Read the fields that describe a part. Never raises."""
    known: dict[str, str] = {}
    for name, value in fields:
        if name.startswith("content-") or name == LEFT_FIELD.lower():
            known.setdefault(name, value[:_LONGEST_PARAMETERS])
    if not known:
        return PartHeader()
    return _ordinary(known) or _read_by_library(known)


def _ordinary(known: dict[str, str]) -> PartHeader | None:
    """The fast way for fields as nearly all programs write them; None where anything else is in them."""
    kind, parameters = _plain(known.get("content-type", "text/plain"))
    disposition, named = _plain(known.get("content-disposition", ""))
    if parameters is None or named is None or kind.count("/") != 1:
        return None
    get = parameters.get
    return PartHeader(
        content_type=kind,
        charset=get("charset", ""),
        boundary=get("boundary", ""),
        encoding=known.get("content-transfer-encoding", "").partition(";")[0].strip().lower(),
        disposition=disposition,
        name=decode_words(named.get("filename", "") or get("name", "")),
        content_id=known.get("content-id", "").strip(" <>"),
        flowed=get("format", "").lower() == "flowed",
        delsp=get("delsp", "").lower() == "yes",
        protocol=get("protocol", "").lower(),
        smime_type=get("smime-type", "").lower(),
        report_type=get("report-type", "").lower(),
        left=_number(known.get(LEFT_FIELD.lower(), "")),
    )


@lru_cache(maxsize=512)
def _plain(value: str) -> tuple[str, dict[str, str] | None]:
    """The word that a field begins with, and its parameters; None where they are not plain."""
    word, position = _WORD.match(value), 0
    if word is not None:
        position = word.end()
    parameters: dict[str, str] = {}
    while match := _PARAMETER.match(value, position):
        name, quoted, bare = match.groups()
        parameters.setdefault(name.lower(), bare if quoted is None else quoted)
        position = match.end()
    rest = value[position:].strip()
    return (word[0].strip().lower() if word else ""), parameters if rest in ("", ";") else None


def _read_by_library(known: dict[str, str]) -> PartHeader:
    reader = HeaderFields()
    for name, value in known.items():
        reader[name] = value.replace("\n", " ").replace("\r", " ")
    try:
        return _described(reader)
    except (ValueError, LookupError, TypeError, AttributeError, UnicodeError):
        kind = known.get("content-type", "").partition(";")[0].strip().lower()
        return PartHeader(kind if kind.count("/") == 1 else "text/plain", encoding=_token(known))


def _token(known: dict[str, str]) -> str:
    return known.get("content-transfer-encoding", "").strip().lower()


def _described(reader: HeaderFields) -> PartHeader:
    return PartHeader(
        content_type=reader.get_content_type(),
        charset=_parameter(reader, "charset"),
        boundary=_parameter(reader, "boundary"),
        encoding=str(reader.get("content-transfer-encoding", "")).partition(";")[0].strip().lower(),
        disposition=str(reader.get_content_disposition() or ""),
        name=_file_name(reader),
        content_id=str(reader.get("content-id", "")).strip(" <>"),
        flowed=_parameter(reader, "format").lower() == "flowed",
        delsp=_parameter(reader, "delsp").lower() == "yes",
        protocol=_parameter(reader, "protocol").lower(),
        smime_type=_parameter(reader, "smime-type").lower(),
        report_type=_parameter(reader, "report-type").lower(),
        left=_number(str(reader.get(LEFT_FIELD, ""))),
    )


def _number(text: str) -> int:
    return int(text) if re.fullmatch("[0-9]{1,12}", text.strip()) else 0


def _parameter(reader: HeaderFields, name: str, header: str = "content-type") -> str:
    value = reader.get_param(name, "", header)
    return str(value) if isinstance(value, str) else collapse_rfc2231_value(value)


def _file_name(reader: HeaderFields) -> str:
    """A part's name as its sender wrote it, RFC 2231 and (against the rules, but common) RFC 2047 decoded."""
    name = _parameter(reader, "filename", "content-disposition") or _parameter(reader, "name")
    return decode_words(name)


@dataclass(slots=True)
class _Level:
    """An open multipart."""

    boundary: bytes
    header: PartHeader
    alternative: int | None
    related: bool
    nested: bool
    depth: int
    start: int
    children: int = 0
    closed: bool = False


class _Walker:
    """One pass over the message; see `structure`."""

    def __init__(self, raw: bytes, depth: int, parts: int, header_bytes: int, header_count: int) -> None:
        self.raw = raw
        self.depth_limit, self.part_limit = depth, parts
        self.header_bytes, self.header_count = header_bytes, header_count
        self.found = Structure()
        self.stack: list[_Level] = []
        self.boundaries: dict[bytes, int] = {}
        self.open: Part | None = None
        self.seen = 0

    def walk(self, header: PartHeader, start: int) -> Structure:
        """Find the parts of the message whose body begins at `start`."""
        self._enter(header, start, depth=1, alternative=None, related=False, nested=False)
        position, candidates = start - 1, 0
        while self.stack and not self._full():
            position = self.raw.find(b"\n--", position)
            if position < 0:
                break
            candidates += 1
            if candidates > _MOST_CANDIDATES:
                self.found.over("too many lines that look like part borders")
                break
            position = self._border(position)
        self._close_to(0, len(self.raw))
        return self.found

    def _full(self) -> bool:
        if self.seen > self.part_limit:
            self.found.over(f"more than {self.part_limit:,} parts; the rest was not read")
            if self.open is not None and (border := self.raw.find(b"\n--", self.open.start)) >= 0:
                self._end_leaf(border)
            return True
        return False

    def _border(self, newline: int) -> int:
        """Look at one line that begins with "--"; where to go on searching."""
        raw = self.raw
        line_end = raw.find(b"\n", newline + 1, newline + 400)
        if line_end < 0:
            line_end = len(raw) if len(raw) <= newline + 400 else newline + 2
        name = raw[newline + 3 : line_end].rstrip(b" \t\r\n")
        level = self.boundaries.get(name)
        last = level is None and name.endswith(b"--")
        if last:
            level = self.boundaries.get(name[:-2])
        if level is None:
            return newline + 3
        self._close_to(level + 1, newline)
        if not self.stack[level].nested:
            self._end_leaf(newline)
        if last:
            self.stack[level].closed = True
        else:
            self._part(level, line_end + 1)
        return line_end if line_end < len(raw) else line_end + 1

    def _part(self, level: int, start: int) -> None:
        """A new part of the multipart at `level` begins."""
        parent = self.stack[level]
        parent.children += 1
        parent.closed = False
        block = split_headers(self.raw, start, size=self.header_bytes, count=self.header_count, border=True)
        if block.too_long:
            self.found.over("the header of a part is too long")
        self._enter(
            part_header(block.fields),
            block.body_start,
            depth=parent.depth + 1,
            alternative=parent.alternative,
            related=parent.related,
            nested=parent.nested,
        )

    def _enter(
        self, header: PartHeader, start: int, *, depth: int, alternative: int | None, related: bool, nested: bool
    ) -> None:
        """Open a multipart, or begin a leaf; an attached message is a leaf whose own parts are looked through."""
        self.seen += 1
        if depth > self.depth_limit:
            self.found.over(f"nested more than {self.depth_limit} deep; the rest was not read")
        kind = header.content_type
        boundary = header.boundary.rstrip().encode("utf-8", "surrogateescape")
        if kind.startswith("multipart/") and not boundary:
            header, kind, boundary = self._without_boundary(header, start, nested)
        if kind.startswith("multipart/") and boundary and depth <= self.depth_limit:
            if kind == "multipart/alternative":
                alternative = len(self.found.containers)
            self.found.containers.append(header)
            level = _Level(boundary, header, alternative, related or kind == "multipart/related", nested, depth, start)
            self.stack.append(level)
            self.boundaries[boundary] = len(self.stack) - 1
            return
        part = Part(header, start, len(self.raw), depth, alternative, related)
        if not nested:
            self.found.parts.append(part)
            self.open = part
        if kind in ("message/rfc822", "message/global") and header.encoding not in ("base64", "quoted-printable"):
            self._look_through(part)

    def _without_boundary(self, header: PartHeader, start: int, nested: bool) -> tuple[PartHeader, str, bytes]:
        """A multipart whose header does not name its border: the border its first part begins with, else it is text."""
        found = _BORDER.search(self.raw[start : start + _BEFORE_BORDER])
        border = found[1] if found is not None and found[1] not in self.boundaries else b""
        if not nested:
            read = "the border of its first part was taken" if border else "read as text"
            self.found.warnings.append(f"structure: a multipart that names no border; {read}")
        if not border:
            header = PartHeader(charset=header.charset, encoding=header.encoding)
        return header, header.content_type, border

    def _look_through(self, outer: Part) -> None:
        """The chain of messages attached to messages: only counted, and the first one's subject noted."""
        start, depth = outer.start, outer.depth
        while depth <= self.depth_limit:
            block = split_headers(self.raw, start, size=self.header_bytes, count=self.header_count, border=True)
            if not outer.subject:
                outer.subject = next((decode_words(value) for name, value in block.fields if name == "subject"), "")
            inner = part_header(block.fields)
            start, depth = block.body_start, depth + 1
            self.seen += 1
            if inner.content_type.startswith("multipart/") and inner.boundary:
                self._enter(inner, start, depth=depth, alternative=None, related=False, nested=True)
                return
            if inner.content_type != "message/rfc822" or start >= len(self.raw):
                return
        self.found.over(f"nested more than {self.depth_limit} deep; the rest was not read")

    def _end_leaf(self, newline: int) -> None:
        """The open leaf ends before the line break at `newline`."""
        if self.open is not None:
            end = newline - 1 if self.raw[newline - 1 : newline] == b"\r" else newline
            self.open.end = max(self.open.start, end)
            self.open = None

    def _close_to(self, level: int, end: int) -> None:
        """Close the multiparts above `level`; one without any part is read as text."""
        while len(self.stack) > level:
            gone = self.stack.pop()
            if self.boundaries.get(gone.boundary) == len(self.stack):
                del self.boundaries[gone.boundary]
                for index, other in enumerate(self.stack):
                    if other.boundary == gone.boundary:
                        self.boundaries[gone.boundary] = index
            if not gone.children and not gone.nested:
                self.found.warnings.append("structure: a multipart without parts; read as text")
                text = PartHeader(charset=gone.header.charset, encoding=gone.header.encoding)
                self.found.parts.append(Part(text, gone.start, end, gone.depth))
            elif not gone.closed and not gone.nested:
                self.found.warnings.append("structure: the last part is not closed")


def structure(
    raw: bytes, header: PartHeader, start: int, *, depth: int, parts: int, header_bytes: int, header_count: int
) -> Structure:
    """The leaf parts of `raw`, whose own header says `header` and whose body begins at `start`. Never raises.

    Over `depth` or `parts` the reading stops, what was found before stays, and `too_complex` is set.
    """
    return _Walker(raw, depth, parts, header_bytes, header_count).walk(header, start)


def decoded(raw: bytes, part: Part, limit: int | None = None) -> tuple[bytes, str]:
    """A leaf's body with its transfer encoding undone, and a warning where that lied. Never raises.

    `limit`: bytes of the encoded body to read at most.
    """
    end = part.end if limit is None else min(part.end, part.start + limit)
    data = raw[part.start : end]
    if part.header.encoding == "base64":
        return _base64(data)
    if part.header.encoding == "quoted-printable":
        return binascii.a2b_qp(data), ""
    known = ("", "7bit", "8bit", "binary", "7-bit", "8-bit", "none")
    return data, "" if part.header.encoding in known else f"encoding: {part.header.encoding[:40]!r} is not known"


def _base64(data: bytes) -> tuple[bytes, str]:
    lines = _BASE64_LINES.match(data)
    end = lines.end() if lines else 0
    letters, rest = data[:end], data[end:].strip()
    length = len(b"".join(letters.split()))
    if rest and length >= _LEAST_BASE64 and not length % 4 and (_is_text(rest) or b" " in rest[:80]):
        text = binascii.a2b_base64(letters)  # lists and virus scanners put their footers below
        return text + b"\n\n" + rest + b"\n", "encoding: text that is not base64 follows the base64"
    if _is_text(data):
        return data, "encoding: labelled base64, but is not; read as it is"
    clean = _NOT_BASE64.sub(b"", data)
    try:
        return binascii.a2b_base64(clean + b"==="), ""
    except binascii.Error:
        whole = b"".join(clean.partition(b"=")[0].split())
        return binascii.a2b_base64(whole[: len(whole) // 4 * 4]), "encoding: the base64 is damaged"


def _is_text(data: bytes) -> bool:
    """Whether what is called base64 holds too much else."""
    strange = len(_NOT_BASE64.findall(data[:4096]))
    return strange * 20 > len(data[:4096]) or (strange > 0 and b" " in data[:80].strip())


def decoded_size(raw: bytes, part: Part) -> int:
    """How many bytes a leaf's body has when decoded, without decoding it (quoted-printable: nearly)."""
    start, end = part.start, part.end
    size = end - start
    if part.header.encoding == "base64":
        letters = size - raw.count(b"\n", start, end) - raw.count(b"\r", start, end) - raw.count(b"=", start, end)
        return letters * 3 // 4
    if part.header.encoding == "quoted-printable":
        return size - 2 * raw.count(b"=", start, end)
    return size
