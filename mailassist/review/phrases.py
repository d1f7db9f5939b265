"""Numbers, times and addresses in words for the screen. Everything returned here is safe to show."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo

from textual.content import Content

from mailassist.mail.message import Address
from mailassist.mail.safe_text import SafeText

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0


# Terminals do not agree on how wide joined emoji, and those with a variation selector or a skin tone, are; where they
# and we differ, the rest of the line is shifted. Drawn one by one, every terminal gives them the same width.
_JOINING = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]|\u200d(?=[\u2600-\u27bf\U0001f000-\U0001faff])")


def shown(value: object, style: str = "") -> Content:
    """The one door from text to screen: made safe, never read as markup."""
    text = _JOINING.sub("", SafeText(value))
    return Content.styled(text, style) if style else Content(text)


def line(value: object, style: str = "") -> Content:
    """`shown` on one line."""
    return shown(SafeText(value).line(), style)


def joined(*parts: Content) -> Content:
    """Parts that are safe already, side by side. Takes no strings: each must have come through `shown` or `line`."""
    return Content("").join(parts)


def age(then: float, now: float) -> str:
    """How long ago, in at most four characters: `now`, `5m`, `3h`, `2d`, `6w`, `2y`."""
    seconds = max(0.0, now - then)
    if seconds < MINUTE:
        return "now"
    for limit, unit, name in ((HOUR, MINUTE, "m"), (DAY, HOUR, "h"), (14 * DAY, DAY, "d"), (366 * DAY, 7 * DAY, "w")):
        if seconds < limit:
            return f"{int(seconds // unit)}{name}"
    return f"{int(seconds // (365 * DAY))}y"


def office_time(left: float) -> str:
    """Until a reply target, in at most nine characters: `25m left`, `3h left`, `2h over`."""
    seconds = abs(left)
    text = f"{int(seconds // MINUTE)}m" if seconds < HOUR else f"{int(seconds // HOUR)}h"
    return f"{text} {'left' if left >= 0 else 'over'}"


def ago(then: float | None, now: float) -> str:
    """`3 minutes ago`, for a sentence."""
    if then is None:
        return "never"
    seconds = max(0.0, now - then)
    for unit, name in ((DAY, "day"), (HOUR, "hour"), (MINUTE, "minute")):
        if seconds >= unit:
            return f"{counted(int(seconds // unit), name)} ago"
    return "just now"


def moment(date: datetime | None, now: float, zone: tzinfo | None) -> str:
    """A date as precise as it needs to be: time today, else day and time, else with the year."""
    if date is None:
        return "no date"
    local = date.astimezone(zone)
    today = datetime.fromtimestamp(now, local.tzinfo)
    if local.date() == today.date():
        return f"today {local:%H:%M}"
    if abs((today - local).days) < 300:
        return f"{local:%a} {local.day} {local:%b %H:%M}"
    return f"{local.day} {local:%b %Y}"


def counted(number: int, noun: str) -> str:
    """`1 message`, `3 messages`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def money(dollars: float) -> str:
    """US dollars with as many digits as a cheap call needs."""
    if dollars == 0:
        return "$0"
    return f"${dollars:.2f}" if dollars >= 0.01 else f"${dollars:.4f}" if dollars >= 0.0001 else "<$0.0001"


def size(octets: int) -> str:
    """A file size for people."""
    if octets < 1000:
        return f"{octets} B"
    return f"{octets / 1000:.0f} kB" if octets < 1_000_000 else f"{octets / 1_000_000:.1f} MB"


def named(correspondent: str) -> str:
    """The name in `Name <address>`, else the address."""
    name = correspondent.partition(" <")[0].strip()
    return name or correspondent.strip(" <>") or "(nobody named)"


def bare(address: Address) -> SafeText:
    """The address without its display name, which proves nothing; an international domain with its A-labels beside."""
    text = SafeText(address.email).line()
    if text.rpartition("@")[2].isascii():
        decoded = _unicode_domain(text)
        return SafeText(f"{text} (reads {decoded})") if decoded else text
    return SafeText(f"{text} ({SafeText(address.key)})")


def _unicode_domain(email: str) -> SafeText | None:
    """What an A-label domain looks like, or None where there is nothing to add."""
    domain = email.rpartition("@")[2]
    if "xn--" not in domain.lower():
        return None
    try:
        return SafeText(domain.encode("ascii").decode("idna"))
    except UnicodeError:
        return None
