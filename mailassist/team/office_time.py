"""Office time of a mailbox: when people are there, when a reply is due, and how much of that time is left.

All moments are seconds since 1970; all lengths are office seconds, as a clock counts them: an hour that daylight saving
takes away or repeats is not worked, or worked twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from mailassist.errors import ConfigError
from mailassist.team_settings import TeamMailbox, office_minutes

HOUR = 3600.0
_MOST_DAYS = 100_000  # that are looked at: targets of years at an hour a week
_LAST_YEAR = 9990  # what calendars can count

Span = tuple[float, float]  # first moment, and the one after the last


def due(arrived: float, policy: TeamMailbox) -> float:
    """When a reply to what came at `arrived` is due: the mailbox's reply target later, in office hours.

    Raises ConfigError for holidays of a place that nobody knows.
    """
    wanted = policy.reply_target_hours * HOUR
    moment = arrived
    for begin, end in _spans(arrived, policy):
        moment = max(begin, arrived)
        if end - moment >= wanted:
            return moment + wanted
        wanted -= max(0.0, end - moment)
        moment = max(end, arrived)
    return moment


def left(now: float, due: float, policy: TeamMailbox) -> float:
    """Office seconds from `now` until `due`; negative: so many have passed since. Raises ConfigError."""
    if now > due:
        return -left(due, now, policy)
    total = 0.0
    for begin, end in _spans(now, policy):
        if begin >= due:
            break
        total += max(0.0, min(end, due) - max(begin, now))
    return total


def in_office(now: float, policy: TeamMailbox) -> bool:
    """Whether it is office time. Raises ConfigError."""
    begin, end = next(_spans(now, policy), (float("inf"), float("inf")))
    return begin <= now < end


def _spans(since: float, policy: TeamMailbox) -> Iterator[Span]:
    """The times in which people are there, in order, from the first one that ends after `since`."""
    zone = policy.time_zone
    day = datetime.fromtimestamp(since, ZoneInfo(zone)).date()
    rules = (zone, tuple(policy.office_hours), tuple(policy.holidays), policy.holidays_of)
    for _ in range(_MOST_DAYS):
        if day.year > _LAST_YEAR:
            return
        yield from (span for span in _of_day(day, *rules) if span[1] > since)
        day += timedelta(days=1)


@lru_cache(maxsize=4096)
def _of_day(day: date, zone: str, hours: tuple[str, ...], own: tuple[date, ...], place: str) -> tuple[Span, ...]:
    """The office times of one day; without office hours people are always there."""
    if day in own or (place and day in _public_holidays(place, day.year)):
        return ()
    minutes = [(0, 24 * 60)] if not hours else []
    for rule in hours:
        days, first, last = office_minutes(rule)
        if day.weekday() in days:
            minutes.append((first, last))
    spans: list[Span] = []
    for first, last in _merged(minutes):
        begin, end = _moment(day, first, zone), _moment(day, last, zone)
        if begin < end:
            spans.append((begin, end))
    return tuple(spans)


def _merged(minutes: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Overlapping rules count once."""
    found: list[tuple[int, int]] = []
    for first, last in sorted(minutes):
        if found and first <= found[-1][1]:
            found[-1] = (found[-1][0], max(last, found[-1][1]))
        else:
            found.append((first, last))
    return found


def _moment(day: date, minute: int, zone: str) -> float:
    """A wall clock's time; of two the first, and one that is left out is the moment at which the clocks go forward."""
    wall = datetime(day.year, day.month, day.day) + timedelta(minutes=minute)
    place = ZoneInfo(zone)
    late, early = (wall.replace(tzinfo=place, fold=fold).timestamp() for fold in (0, 1))
    if late <= early:
        return late
    before = datetime.fromtimestamp(early, place).utcoffset()
    low, high = int(early), int(late)
    while high - low > 1:  # the offset changes between the two
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, place).utcoffset() == before:
            low = middle
        else:
            high = middle
    return float(high)


@lru_cache(maxsize=256)
def _public_holidays(place: str, year: int) -> frozenset[date]:
    """The public holidays of a country (`DE`), or of a region of it (`DE-BY`)."""
    import holidays

    country, _, region = place.partition("-")
    try:
        return frozenset(holidays.country_holidays(country, subdiv=region or None, years=year))
    except NotImplementedError as error:
        raise ConfigError(
            f"Nobody knows the public holidays of {place!r}",
            cure='Write holidays_of as a country or a country and region, such as "DE" or "DE-BY", or list holidays.',
        ) from error
