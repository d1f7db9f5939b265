"""Calls to the models of the mailboxes, within the limits of the account that pays for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

from mailassist.config import Config
from mailassist.daemon.parts import Mailbox
from mailassist.desk.models import Models
from mailassist.errors import ConfigError
from mailassist.model.client import Writer
from mailassist.model.registry import ModelInfo
from mailassist.secrets import Keeper


class ModelCalls:
    """Writers for the mailboxes, by model; thread-safe."""

    def __init__(self, config: Config, boxes: dict[str, Mailbox], keeper: Keeper, today: Callable[[], date]) -> None:
        """`keeper` finds the keys."""
        self._config = config
        self._boxes = boxes
        self._keeper = keeper
        self._today = today
        self._lock = threading.Lock()
        self._models: dict[str, Models] = {}
        self._free: dict[str, list[Writer]] = {}
        self._slots = threading.BoundedSemaphore(config.daemon.limits.calls_at_once)

    def info(self, mailbox: str) -> ModelInfo:
        """The model in force."""
        return self._of(mailbox)[1].info()[0]

    @contextmanager
    def writer(self, mailbox: str, tokens: int) -> Iterator[Writer]:
        """A writer for one call. Raises ConfigError where the configured model cannot be asked."""
        name, models = self._of(mailbox)
        with self._slots:
            with self._lock:
                free = self._free.setdefault(name, [])
                writer = free.pop() if free else None
            writer = writer or self._opened(models)
            try:
                yield writer
            finally:
                with self._lock:
                    self._free[name].append(writer)

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            for free in self._free.values():
                for writer in free:
                    writer.close()
            self._free = {}

    def _opened(self, models: Models) -> Writer:
        choice = models.choice()
        if choice.writer is None:
            raise ConfigError("The daemon needs a model that writes", cure="Set model.name; `mailassist models`.")
        return Writer(choice.writer.endpoint, choice.info)

    def _of(self, mailbox: str) -> tuple[str, Models]:
        box = self._boxes.get(mailbox)
        name = (box.policy.model if box else "") or self._config.model.name
        with self._lock:
            if name not in self._models:
                settings = self._config.model.model_copy(update={"name": name})
                self._models[name] = Models(settings, self._keeper, self._today)
            return name, self._models[name]
