"""Office time: targets are met to the second, clocks change, holidays and weekends do not count."""

from __future__ import annotations

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mailassist.errors import ConfigError
from mailassist.team.office_time import due, in_office, left
from mailassist.team_settings import TeamMailbox

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago"]
RULES = [
    "mon-fri 09:00-17:00",
    "sat 10:00-12:30",
    "mon-sun 00:00-24:00",
    "sun-mon 01:00-04:00",
    "fri-tue 02:15-02:45",
    "wed 12:00-24:00",
]
moments = st.floats(1.5e9, 2.1e9).map(lambda one: float(round(one)))
policies = st.builds(
    TeamMailbox,
    time_zone=st.sampled_from(ZONES),
    office_hours=st.lists(st.sampled_from(RULES), max_size=3),
    holidays=st.lists(st.dates(date(2020, 1, 1), date(2035, 1, 1)), max_size=5),
    holidays_of=st.sampled_from(["", "DE", "DE-BY", "US"]),
    reply_target_hours=st.floats(0.01, 80),
)


def at(text: str, zone: ZoneInfo = BERLIN) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()


@settings(deadline=None)
@given(moments, policies)
def test_what_has_just_arrived_has_the_whole_target_left(arrived: float, policy: TeamMailbox) -> None:
    assert left(arrived, due(arrived, policy), policy) == pytest.approx(policy.reply_target_hours * 3600, abs=0.01)


@settings(deadline=None)
@given(moments, st.floats(0, 1e6), policies)
def test_later_mail_is_due_no_earlier(arrived: float, later: float, policy: TeamMailbox) -> None:
    assert due(arrived + later, policy) >= due(arrived, policy) - 0.001


@settings(deadline=None)
@given(moments, st.floats(0, 1e6), st.floats(0, 1e6), policies)
def test_office_time_adds_up_and_never_runs_backwards_or_faster_than_the_clock(
    first: float, more: float, rest: float, policy: TeamMailbox
) -> None:
    middle, last = first + more, first + more + rest
    whole = left(first, last, policy)
    assert whole == pytest.approx(left(first, middle, policy) + left(middle, last, policy), abs=0.01)
    assert 0 <= whole <= last - first + 0.001
    assert left(last, first, policy) == -whole


@settings(deadline=None)
@given(moments, policies)
def test_a_moment_counts_where_somebody_is_there(moment: float, policy: TeamMailbox) -> None:
    soon = moment + 0.5
    assume(in_office(moment, policy) == in_office(soon, policy))
    assert (left(moment, soon, policy) > 0) == in_office(moment, policy)


def test_a_target_runs_over_night_and_over_the_weekend() -> None:
    policy = TeamMailbox(time_zone="Europe/Berlin", reply_target_hours=8)
    assert due(at("2026-11-27T15:00"), policy) == at("2026-11-30T15:00")  # Friday to Monday
    assert due(at("2026-11-28T11:00"), policy) == at("2026-11-30T17:00")  # from Saturday: the whole Monday
    assert left(at("2026-12-01T11:00"), at("2026-11-30T15:00"), policy) == -4 * 3600


def test_the_night_in_which_clocks_change_has_its_own_length() -> None:
    night = TeamMailbox(time_zone="Europe/Berlin", office_hours=["sun 01:00-05:00"])
    for day, hours in (("2026-03-22", 4), ("2026-03-29", 3), ("2026-10-25", 5)):
        assert left(at(f"{day}T00:00"), at(f"{day}T12:00"), night) == hours * 3600
    left_out = TeamMailbox(time_zone="Europe/Berlin", office_hours=["sun 02:15-03:30"])
    assert left(at("2026-03-29T00:00"), at("2026-03-29T12:00"), left_out) == 30 * 60


def test_public_holidays_of_a_region_and_days_of_ones_own_do_not_count() -> None:
    epiphany = "2026-01-06"
    for place, free in (("DE-BY", True), ("DE", False), ("DE-BE", False)):
        policy = TeamMailbox(time_zone="Europe/Berlin", holidays_of=place, holidays=[date(2026, 1, 7)])
        assert in_office(at(f"{epiphany}T10:00"), policy) is not free
        assert not in_office(at("2026-01-07T10:00"), policy)
    assert in_office(datetime(2026, 1, 8, 9, tzinfo=BERLIN).astimezone(UTC).timestamp(), policy)


def test_an_unknown_place_is_named_with_the_cure() -> None:
    with pytest.raises(ConfigError, match=r"'DE-XX'.*holidays_of"):
        due(at("2026-01-06T10:00"), TeamMailbox(holidays_of="DE-XX"))
