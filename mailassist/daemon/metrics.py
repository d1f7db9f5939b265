"""What Prometheus reads: counts and ages, by the mailboxes' names in the configuration. Never an address or a text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from threading import Lock

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from mailassist import __version__
from mailassist.errors import MailassistError
from mailassist.store.arrivals import ON_THE_WAY
from mailassist.store.feedback import OUTCOMES
from mailassist.team.status import MailboxStatus, Overview

FRESH = 2.0  # seconds: within them, another reader gets the same numbers

_CONNECTIONS = ("idle", "notify", "poll", "offline", "refused")


class Metrics:
    """The metrics of one process, made from the store when they are read. Thread-safe."""

    def __init__(
        self,
        look: Callable[[], Overview],
        *,
        since_progress: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        """`look`: `team.status.look` of this store; `since_progress`: seconds since the work loop came forward."""
        self._look = look
        self._since_progress = since_progress
        self._monotonic = monotonic
        self._lock = Lock()
        self._known: tuple[float, Overview] | None = None
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def page(self) -> bytes:
        """All of them in Prometheus' text format. Where the store cannot be read, `mailassist_store_up` is 0."""
        return generate_latest(self._registry)

    def overview(self) -> Overview:
        """How everything is, at most `FRESH` seconds old. Raises StoreError."""
        with self._lock:
            now = self._monotonic()
            if self._known is None or now - self._known[0] >= FRESH:
                self._known = now, self._look()
            return self._known[1]

    def describe(self) -> list[Metric]:
        """Nothing: the names are known once they are collected."""
        return []

    def collect(self) -> Iterator[Metric]:
        """For the registry."""
        yield _one("build_info", "The version.", 1.0, version=__version__)
        yield _one("work_loop_age_seconds", "Time since work last came forward.", self._since_progress())
        try:
            overview = self.overview()
        except MailassistError:
            yield _one("store_up", "Whether the store can be read.", 0.0)
            return
        yield _one("store_up", "Whether the store can be read.", 1.0)
        yield from _of_mailboxes(overview)
        yield from _of_models(overview)
        yield _one("notices_waiting", "What people are still to be told.", overview.notices)
        failing = GaugeMetricFamily(
            "mailassist_notices_failures", "Failures in a row of a way to tell people.", labels=["channel"]
        )
        for name, channel in overview.channels.items():
            failing.add_metric([name], channel.tries)
        yield failing


def _of_mailboxes(overview: Overview) -> Iterator[Metric]:
    now = overview.at

    def each(
        name: str, text: str, value: Callable[[MailboxStatus], float | None], every: tuple[MailboxStatus, ...]
    ) -> Metric:
        family = GaugeMetricFamily(f"mailassist_{name}", text, labels=["mailbox"])
        for one in every:
            found = value(one)
            if found is not None:
                family.add_metric([one.name], found)
        return family

    every = tuple(overview.mailboxes)
    yield _by_state("arrivals", "Messages on their way or failed, by state.", every, lambda one: one.numbers.arrivals)
    yield _by_state(
        "cases", "Conversations that wait, or whose reply was approved, by state.", every, lambda one: one.numbers.cases
    )
    outcomes = GaugeMetricFamily(
        "mailassist_drafts", "Drafts of the last 30 days, by what became of them.", labels=["mailbox", "outcome"]
    )
    for one in every:
        for outcome in OUTCOMES:
            outcomes.add_metric([one.name, outcome], one.numbers.outcomes.get(outcome, 0))
    yield outcomes
    yield each("backlog", "Arrivals that are worked on.", lambda one: one.numbers.backlog, every)
    yield each(
        "oldest_arrival_age_seconds",
        "Age of the oldest arrival that is worked on.",
        lambda one: _age(one.numbers.oldest_arrival, now, empty=0.0),
        every,
    )
    yield each(
        "look_age_seconds",
        "Time since the last look that came through.",
        lambda one: _age(one.row.looked_at, now),
        every,
    )
    yield each("mailbox_broken", "Whether the newest look failed.", lambda one: one.row.broken, every)
    yield each("mailbox_paused", "Whether no drafts are made.", lambda one: bool(one.row.paused), every)
    yield each("queue", "Conversations that wait for a person.", lambda one: one.numbers.peoples_turn, every)
    yield each("queue_overdue", "Conversations past their reply target.", lambda one: one.numbers.overdue, every)
    yield each(
        "queue_oldest_age_seconds",
        "Age of the oldest conversation that waits for a person.",
        lambda one: _age(one.numbers.oldest_case, now, empty=0.0),
        every,
    )
    yield each("model_calls_today", "Calls to models.", lambda one: one.numbers.calls, every)
    yield each("model_failures_today", "Calls to models that failed.", lambda one: one.numbers.failed_calls, every)
    yield each("model_cost_dollars_today", "What they cost.", lambda one: one.numbers.cost, every)
    kinds = GaugeMetricFamily("mailassist_connections", "Mailboxes, by how news of them come.", labels=["kind"])
    for kind in (*_CONNECTIONS, "none"):
        kinds.add_metric([kind], sum((one.row.connection or "none") == kind for one in every))
    yield kinds


def _of_models(overview: Overview) -> Iterator[Metric]:
    paused = GaugeMetricFamily(
        "mailassist_model_paused", "Whether a model is left alone for a while.", labels=["model"]
    )
    failures = GaugeMetricFamily("mailassist_model_failures", "Failures in a row.", labels=["model"])
    for model in overview.models:
        paused.add_metric([model.name], model.not_before > overview.at)
        failures.add_metric([model.name], model.failures)
    yield paused
    yield failures


def _by_state(
    name: str, text: str, every: tuple[MailboxStatus, ...], counts: Callable[[MailboxStatus], object]
) -> Metric:
    family = GaugeMetricFamily(f"mailassist_{name}", text, labels=["mailbox", "state"])
    for one in every:
        found = counts(one)
        assert isinstance(found, dict)
        known = ON_THE_WAY if name == "arrivals" else ()
        for state in {*known, *found}:
            family.add_metric([one.name, state], found.get(state, 0))
    return family


def _one(name: str, text: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(f"mailassist_{name}", text, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _age(at: float | None, now: float, empty: float | None = None) -> float | None:
    return empty if at is None else max(0.0, now - at)
