"""The Date header (RFC 5322, 3.3): a date with a time zone, or None."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from functools import lru_cache

_MONTHS = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6,
    "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12,
}  # fmt: skip
_USUAL = re.compile(
    r"(?:[A-Z][a-z]{2},\s+)?(\d{1,2})\s+([A-Z][a-z]{2})\s+(\d{4})\s+(\d\d):(\d\d)(?::(\d\d))?\s+([+-])(\d\d)(\d\d)\b",
    re.ASCII,
)


def parse_date(value: str) -> datetime | None:
    """The moment that a Date header names; UTC where it names no zone; None where it names no moment."""
    match = _USUAL.match(value)
    if match:
        day, month, year, hour, minute, second, sign, hours, minutes = match.groups()
        number = _MONTHS.get(month)
        if number and "1970" <= year <= "9998":
            try:
                zone = _zone(sign, int(hours) * 60 + int(minutes))
                return datetime(int(year), number, int(day), int(hour), int(minute), min(int(second or 0), 59), 0, zone)
            except ValueError:
                pass
    return _unusual(value[:200])


@lru_cache(maxsize=256)
def _zone(sign: str, minutes: int) -> timezone:
    return timezone(timedelta(minutes=-minutes if sign == "-" else minutes))


def _unusual(value: str) -> datetime | None:
    """Zone names, two-digit years, missing parts: as the standard library reads them."""
    try:
        parts = parsedate_tz(value)
        if parts is None or not 1970 <= parts[0] <= 9998:
            return None
        offset = parts[9] or 0
        zone = timezone(timedelta(seconds=offset)) if abs(offset) < 86400 else UTC
        return datetime(*parts[:5], second=min(parts[5], 59), tzinfo=zone)
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError):
        return None
