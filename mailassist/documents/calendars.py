"""Invitations and other iCalendar files (RFC 5545, 5546) in plain words. Linear time, never raises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from mailassist.documents.content import Content, counted, cut

_MOST_EVENTS = 100
_MOST_PEOPLE = 50
_LINE = re.compile(r"([A-Za-z0-9.-]{1,100})((?:;[A-Za-z0-9-]{1,100}=(?:\"[^\"]*\"|[^\";:])*)*):(.*)", re.DOTALL)
_PARAMETER = re.compile(r";([A-Za-z0-9-]+)=((?:\"[^\"]*\"|[^\";:])*)")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_WHEN = re.compile(r"(\d{4})(\d\d)(\d\d)(?:T(\d\d)(\d\d)\d\d(Z?))?")
_DURATION = re.compile(r"\+?P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,4})M)?(?:\d{1,6}S)?)?")
_METHODS = {
    "REQUEST": "Invitation", "CANCEL": "Cancellation", "REPLY": "Answer to an invitation", "COUNTER": "Proposed change",
    "DECLINECOUNTER": "Proposed change declined", "ADD": "Further dates", "REFRESH": "Request for the newest version",
}  # fmt: skip
_ANSWERS = {
    "ACCEPTED": "accepted", "DECLINED": "declined", "TENTATIVE": "tentative", "DELEGATED": "delegated",
    "NEEDS-ACTION": "has not answered",
}  # fmt: skip
_PERIODS = {"DAILY": "day", "WEEKLY": "week", "MONTHLY": "month", "YEARLY": "year", "HOURLY": "hour"}
_DAYS = {
    "MO": "Monday", "TU": "Tuesday", "WE": "Wednesday", "TH": "Thursday", "FR": "Friday", "SA": "Saturday",
    "SU": "Sunday",
}  # fmt: skip
_ORDINALS = {"1": "first", "2": "second", "3": "third", "4": "fourth", "5": "fifth", "-1": "last"}
_KINDS = {"VEVENT": "Event", "VTODO": "Task", "VJOURNAL": "Note", "VFREEBUSY": "Free or busy"}


@dataclass(frozen=True, slots=True)
class _Line:
    """One content line: name and parameter names in capitals."""

    name: str
    parameters: dict[str, str]
    value: str

    @property
    def text(self) -> str:
        """The value as text: escapes undone."""
        return _ESCAPED.sub(lambda match: "\n" if match[1] in "nN" else match[1], self.value).strip()


@dataclass(slots=True)
class _Component:
    kind: str
    lines: list[_Line] = field(default_factory=list)

    def first(self, name: str) -> _Line | None:
        return next((line for line in self.lines if line.name == name), None)

    def all(self, name: str) -> list[_Line]:
        return [line for line in self.lines if line.name == name]


def calendar(said: str) -> Content:
    """What a calendar file says: method, and of each event title, time with zone, place, people, recurrence, text."""
    method, more = "", 0
    events: list[_Component] = []
    open_: list[_Component] = []
    for line in _lines(said):
        if line.name == "BEGIN":
            open_.append(_Component(line.value.strip().upper()))
        elif line.name == "END" and open_:
            closed = open_.pop()
            if closed.kind in _KINDS and len(events) < _MOST_EVENTS:
                events.append(closed)
            elif closed.kind in _KINDS:
                more += 1
        elif line.name == "METHOD" and not method:
            method = line.value.strip().upper()
        elif open_:
            open_[-1].lines.append(line)
    texts = ["\n".join(_described(event, method)) for event in events]
    return cut("\n\n".join(texts), counted(more, "event")) if texts else Content(note="a calendar without events")


def _lines(said: str) -> Iterator[_Line]:
    """The content lines, unfolded (RFC 5545, 3.1)."""
    unfolded = re.sub(r"\r?\n[ \t]", "", said.replace("\r\r\n", "\n"))
    for raw in re.split(r"[\r\n]+", unfolded):
        match = _LINE.fullmatch(raw.strip("\ufeff"))
        if match is not None:
            parameters = {name.upper(): value.replace('"', "") for name, value in _PARAMETER.findall(match[2])}
            yield _Line(match[1].rpartition(".")[2].upper(), parameters, match[3])


def _described(event: _Component, method: str) -> Iterator[str]:
    title = event.first("SUMMARY")
    what = _METHODS.get(method) or _KINDS[event.kind]
    if (status := event.first("STATUS")) is not None and status.value.strip().upper() == "CANCELLED":
        what = "Cancellation"
    yield f"{what}: {' '.join(title.text.split()) if title and title.text else '(no title)'}"
    yield from _times(event)
    for name, label in (("LOCATION", "Where"), ("URL", "Link"), ("X-MICROSOFT-SKYPETEAMSMEETINGURL", "Link")):
        if (line := event.first(name)) is not None and line.text:
            yield f"{label}: {' '.join(line.text.split())}"
    yield from _people(event, method)
    for name, label in (("COMMENT", "Comment"), ("DESCRIPTION", "Description")):
        for line in event.all(name)[:5]:
            if line.text:
                yield f"{label}: {line.text}"


def _times(event: _Component) -> Iterator[str]:
    start, end, due = (event.first(name) for name in ("DTSTART", "DTEND", "DUE"))
    if start is not None:
        last = _moment(end, is_end=True) if end else _lasting(event)
        first = _moment(start)
        yield f"When: {first}" + (f" to {last}" if end and last and last != first else last if not end else "")
    if due is not None:
        yield f"Due: {_moment(due)}"
    if (rule := event.first("RRULE")) is not None:
        yield f"Repeats: {_repeated(rule.value)}"
    for name, label in (("EXDATE", "Not on"), ("RDATE", "Also on")):
        if days := [_moment(line) for line in event.all(name)[:20]]:
            yield f"{label}: {', '.join(days)}"
    if (instance := event.first("RECURRENCE-ID")) is not None:
        yield f"Instead of: {_moment(instance)}"


def _moment(line: _Line, *, is_end: bool = False) -> str:
    """A date, or date and time with zone, as people write it; several are joined. What is none stays as it is."""
    zone = line.parameters.get("TZID", "")
    return ", ".join(_one_moment(one.strip(), zone, is_end) for one in line.value.split(",")[:20])


def _one_moment(value: str, zone: str, is_end: bool) -> str:
    match = _WHEN.fullmatch(value)
    if match is None:
        return value[:60]
    year, month, day, hour, minute, utc = match.groups()
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0))
    except ValueError:
        return value
    weekday = list(_DAYS.values())[moment.weekday()][:3]
    said = f"{weekday} {moment.date().isoformat()}"
    if hour is None:
        return f"{said} (not included)" if is_end else said
    return f"{said} {hour}:{minute}" + (" UTC" if utc else f" ({zone[:60]})" if zone else "")


def _lasting(event: _Component) -> str:
    line = event.first("DURATION")
    match = _DURATION.fullmatch(line.value.strip()) if line else None
    if match is None:
        return ""
    units = ("week", "day", "hour", "minute")
    parts = [f"{int(n)} {unit}{'s' if int(n) != 1 else ''}" for n, unit in zip(match.groups(), units, strict=True) if n]
    return f", for {' '.join(parts)}" if parts else ""


def _repeated(rule: str) -> str:
    """A recurrence rule (RFC 5545, 3.3.10) in words; what has no words here stays as written."""
    parts = dict(part.upper().split("=", 1) for part in rule.strip().split(";")[:20] if "=" in part)
    period = _PERIODS.get(parts.pop("FREQ", ""))
    if period is None:
        return rule[:200]
    every = parts.pop("INTERVAL", "1")
    said = [f"every {period}" if every == "1" else f"every {every[:5]} {period}s"]
    if days := parts.pop("BYDAY", ""):
        said.append(f"on {', '.join(_weekday(day) for day in days.split(',')[:10])}")
    if days := parts.pop("BYMONTHDAY", ""):
        said.append(f"on day {days[:60]} of the month")
    if count := parts.pop("COUNT", ""):
        said.append(f"{count[:6]} times")
    if until := parts.pop("UNTIL", ""):
        said.append(f"until {_one_moment(until, '', False)}")
    parts.pop("WKST", None)
    said += [f"{name}={value}"[:60] for name, value in parts.items()]
    return " ".join(said)


def _weekday(day: str) -> str:
    name = _DAYS.get(day[-2:], day[:20])
    return f"the {_ORDINALS.get(day[:-2].lstrip('+'), day[:-2][:4])} {name}" if day[:-2] else name


def _people(event: _Component, method: str) -> Iterator[str]:
    if (organizer := event.first("ORGANIZER")) is not None:
        yield f"Organizer: {_person(organizer)}"
    attendees = event.all("ATTENDEE")
    if attendees:
        shown = [_attending(line, told=method == "REPLY") for line in attendees[:_MOST_PEOPLE]]
        more = f", and {len(attendees) - _MOST_PEOPLE} more" if len(attendees) > _MOST_PEOPLE else ""
        yield f"Attendees: {', '.join(shown)}{more}"


def _attending(line: _Line, *, told: bool) -> str:
    """An attendee with the answer, where there is one; in an answer to an invitation in any case."""
    answer = _ANSWERS.get(line.parameters.get("PARTSTAT", "").upper(), "")
    role = "optional" if line.parameters.get("ROLE", "").upper() == "OPT-PARTICIPANT" else ""
    said = [one for one in (role, answer if told or answer != "has not answered" else "") if one]
    return _person(line) + (f" ({', '.join(said)})" if said else "")


def _person(line: _Line) -> str:
    name = " ".join(line.parameters.get("CN", "").split())[:200]
    address = line.value.strip()[:300]
    address = address[7:] if address[:7].lower() == "mailto:" else address
    return f"{name} <{address}>" if name and name != address else address
