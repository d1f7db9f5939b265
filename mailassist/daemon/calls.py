"""Calls to the models of the mailboxes, within the limits of the account that pays for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

from mailassist.config import Config
from mailassist.daemon.model_use import InStore, ModelUse, Standing
from mailassist.daemon.parts import Mailbox, Writing
from mailassist.desk.models import Models
from mailassist.errors import ConfigError
from mailassist.model.connection import Endpoint
from mailassist.model.pool import WriterPool
from mailassist.model.registry import ModelInfo
from mailassist.secrets import Keeper
from mailassist.store.database import Store
from mailassist.team_settings import TeamMailbox


@dataclass(frozen=True, slots=True)
class _Model:
    """One model: who writes, and how much of it may be used."""

    pool: WriterPool
    use: ModelUse


def model_of(policy: TeamMailbox, *, triage: bool = False) -> str:
    """The model that a mailbox names for its drafts, or for its triage; "" for that of the configuration."""
    return (policy.triage_model if triage else "") or policy.model


class ModelCalls:
    """Writers for the mailboxes, by model; thread-safe."""

    def __init__(
        self,
        config: Config,
        boxes: Mapping[str, Mailbox],
        keeper: Keeper,
        today: Callable[[], date],
        *,
        shared: Store | None = None,
    ) -> None:
        """`keeper` finds the keys; `shared`: the store in which other processes see how much is used."""
        self._config = config
        self._boxes = boxes
        self._keeper = keeper
        self._today = today
        self._shared = shared
        self._lock = threading.Lock()
        self._models: dict[str, _Model] = {}

    def info(self, mailbox: str, *, triage: bool = False) -> ModelInfo:
        """The model in force. Raises ConfigError, SecretError."""
        return self._of(mailbox, triage).pool.info

    @contextmanager
    def writer(
        self, mailbox: str, tokens: int, stopped: Callable[[], bool], *, triage: bool = False
    ) -> Iterator[Writing]:
        """A writer for one call. Raises ModelBusy, ConfigError, SecretError."""
        model = self._of(mailbox, triage)
        with model.use.call(tokens, stopped) as slot, model.pool.writer() as writer:
            writing = Writing(writer)
            yield writing
            slot.used(writing.usage)

    def endpoint(self) -> Endpoint:
        """Where the configured model is. Raises ConfigError, SecretError."""
        return self._of("").pool.endpoint

    def standing(self) -> dict[str, Standing]:
        """How each model that was used is now."""
        with self._lock:
            return {name: model.use.standing() for name, model in self._models.items()}

    def take_over(self, config: Config, boxes: Mapping[str, Mailbox]) -> None:
        """From now on by this configuration; models are opened anew, calls under way end as they began."""
        with self._lock:
            old, self._models = self._models, {}
            self._config, self._boxes = config, boxes
        for model in old.values():
            model.pool.close()

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            for model in self._models.values():
                model.pool.close()
            self._models = {}

    def _of(self, mailbox: str, triage: bool = False) -> _Model:
        box = self._boxes.get(mailbox)
        name = (model_of(box.policy, triage=triage) if box else "") or self._config.model.name
        with self._lock:
            if name not in self._models:
                self._models[name] = self._opened(name)
            return self._models[name]

    def _opened(self, name: str) -> _Model:
        settings = self._config.model.model_copy(update={"name": name})
        choice = Models(settings, self._keeper, self._today).choice()
        if choice.writer is None:
            raise ConfigError("The daemon needs a model that writes", cure="Set model.name; `mailassist models`.")
        limits = self._config.daemon.limits
        endpoint = replace(choice.writer.endpoint, retries=0)  # the queue tries again, for all workers
        state = InStore(self._shared, f"{endpoint.host} {name}") if self._shared else None
        return _Model(WriterPool(endpoint, choice.info, flex=limits.flex), ModelUse(name, limits, state))
