"""What is known of each model and of the servers that offer them: a data file, `models.toml`, and its rules.

Prices are US dollars per million tokens. A model that is not listed gets cautious defaults (`known` is false).
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from fnmatch import fnmatchcase
from functools import cache
from importlib import resources
from ipaddress import ip_address
from typing import Any, Literal
from urllib.parse import urlsplit

from mailassist.errors import ConfigError

Api = Literal["responses", "chat"]
Tier = Literal["", "batch", "flex"]  # "": the usual price

TOLD_BEFORE = timedelta(days=30)  # how long before its last day the user hears of a model's end


@dataclass(frozen=True, slots=True)
class ImageTokens:
    """How a model counts a picture: `base` for any, `tile` for each square of 512 pixels in high detail."""

    base: int
    tile: int


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one call; of `input`, the provider had `cached` in its cache, and put `written` there."""

    input: int
    cached: int
    output: int
    written: int = 0
    tier: Tier = ""  # at which of the provider's prices


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """One model: what it takes, what it costs, how long it lives."""

    name: str
    window: int  # tokens of the prompt (and, where the server counts so, of the answer too)
    max_output: int
    tokenizer: str  # "o200k_base", "server" (ask the server), "estimate"
    default_budget: int  # tokens of a prompt, where the configuration says nothing
    default_output: int  # tokens of a draft, likewise
    input_price: float | None = None  # None: not known
    cached_price: float | None = None  # None: as input
    cache_write_price: float | None = None  # None: as input, and the cache finds any common beginning by itself
    output_price: float | None = None
    batch_factor: float = 1.0  # of these prices, in the Batch API; 1.0: it is not cheaper there, or not offered
    flex_factor: float = 1.0  # likewise, in the Flex tier
    capabilities: frozenset[str] = frozenset({"text"})
    image: ImageTokens | None = None
    api: Api | None = None  # None: whatever the server speaks
    reasoning_effort: str = ""  # "": not asked for
    shutdown: date | None = None  # the day from which the API refuses it
    successor: str = ""
    local: bool = False  # runs on this machine: costs nothing, nothing leaves
    known: bool = True  # stands in the registry

    @property
    def priced(self) -> bool:
        """Whether a call's cost can be computed."""
        return self.input_price is not None and self.output_price is not None

    def price_factor(self, tier: Tier) -> float:
        """What a call at `tier` costs, as a share of the usual price."""
        return {"batch": self.batch_factor, "flex": self.flex_factor}.get(tier, 1.0)

    @property
    def prompt_limit(self) -> int:
        """The most tokens of a prompt that leave room for a draft of the default length."""
        return max(0, self.window - self.default_output)


@dataclass(frozen=True, slots=True)
class ServerKind:
    """What an OpenAI-compatible server can do, by its address."""

    name: str  # "OpenAI", "Ollama", ...; "" for one that is not listed
    api: Api
    system_role: str
    output_limit: str
    left_out: frozenset[str]
    needs_key: bool
    key_page: str = ""
    credit_page: str = ""


OPENAI_URL = "https://api.openai.com/v1"


def find(name: str, *, base_url: str = "") -> ModelInfo:
    """The model called `name`; one that is not listed gets the defaults for a server at `base_url`.

    "local" and a path that ends in `.gguf` run in this process. Dated names (`gpt-4o-mini-2024-07-18`) count as the
    model that they are a version of.
    """
    known = _models()
    if name in known:
        return known[name]
    base = next((key for key in sorted(known, key=len, reverse=True) if _is_version(name, key)), "")
    if base:
        return replace(known[base], name=name)
    kind = "local" if name.lower().endswith(".gguf") or is_loopback(base_url) else "hosted"
    return _info(name, _data()["unknown"][kind], known=False)


def models() -> tuple[ModelInfo, ...]:
    """Every model of the registry, in its order."""
    return tuple(_models().values())


def with_prices(
    info: ModelInfo, *, input_price: float | None, cached_price: float | None, output_price: float | None
) -> ModelInfo:
    """`info` with the prices of the configuration where it names some."""
    return replace(
        info,
        input_price=info.input_price if input_price is None else input_price,
        cached_price=info.cached_price if cached_price is None and input_price is None else cached_price,
        output_price=info.output_price if output_price is None else output_price,
    )


def in_force(info: ModelInfo | str, today: date) -> tuple[ModelInfo, str]:
    """The model to use on `today` in place of `info`, and what the user is to be told ("" for nothing).

    From its shutdown date on that is its successor (and so on); the user hears of it from 30 days before.
    """
    asked = find(info) if isinstance(info, str) else info
    current, told = asked, ""
    for _ in range(len(_models())):
        if current.shutdown is None or today < current.shutdown or not current.successor:
            break
        current = find(current.successor)
        told = f"{asked.name} left the API on {asked.shutdown}; {current.name} writes instead."
    if not told and current.shutdown is not None and today >= current.shutdown - TOLD_BEFORE:
        told = _farewell(current, today)
    return current, told


def cost(info: ModelInfo, usage: Usage) -> float:
    """What a call cost, in US dollars; 0 where the prices are not known (`info.priced`)."""
    cached_price = info.input_price if info.cached_price is None else info.cached_price
    write_price = info.input_price if info.cache_write_price is None else info.cache_write_price
    cached = min(max(usage.cached, 0), usage.input)
    written = min(max(usage.written, 0), usage.input - cached)
    dollars = (
        (usage.input - cached - written) * (info.input_price or 0.0)
        + cached * (cached_price or 0.0)
        + written * (write_price or 0.0)
        + usage.output * (info.output_price or 0.0)
    )
    return dollars / 1_000_000 * info.price_factor(usage.tier)


def image_tokens(info: ModelInfo, width: int, height: int, *, high_detail: bool) -> int:
    """Tokens of a picture of `width` x `height` pixels; 0 for a model that sees none.

    The provider's published arithmetic: in high detail the picture is shrunk to fit 2048 x 2048, then to 768 pixels on
    its short side, and counted in tiles of 512.
    """
    if info.image is None or width < 1 or height < 1:
        return 0
    if not high_detail:
        return info.image.base
    fit = min(1.0, 2048 / max(width, height))
    fit *= min(1.0, 768 / (min(width, height) * fit))
    across, down = (-(-max(1, round(side * fit)) // 512) for side in (width, height))
    return info.image.base + info.image.tile * across * down


def server_kind(base_url: str) -> ServerKind:
    """What is known of the server at `base_url` ("": OpenAI's). Raises ConfigError for what is no address."""
    host, port = _address(base_url or OPENAI_URL)
    for table in _data()["servers"]:
        if any(fnmatchcase(host, pattern) for pattern in table["hosts"]) and table.get("port", port) == port:
            return ServerKind(
                **{key: value for key, value in table.items() if key not in ("hosts", "port", "left_out")},
                left_out=frozenset(table["left_out"]),
            )
    raise LookupError(host)  # models.toml ends with a server that matches any host


def is_loopback(base_url: str) -> bool:
    """Whether `base_url` is on this machine."""
    if not base_url:
        return False
    host, _ = _address(base_url)
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _address(base_url: str) -> tuple[str, int | None]:
    """Host name and port of a URL."""
    try:
        parts = urlsplit(base_url)
        host, port = (parts.hostname or "").casefold(), parts.port
    except ValueError:
        host, port = "", None
    if not host or parts.scheme not in ("http", "https"):
        raise ConfigError(
            f"model.base_url = {base_url!r} is no address", cure='It looks like "https://models.example.org/v1".'
        )
    return host, port


def _farewell(info: ModelInfo, today: date) -> str:
    when = f"leaves the API on {info.shutdown}" if info.shutdown and today < info.shutdown else "has left the API"
    after = f"; from then on {info.successor} writes instead" if info.successor else "; choose another model"
    return f"{info.name} {when}{after}."


def _is_version(name: str, base: str) -> bool:
    """Whether `name` is `base` with a date behind it, as providers pin their versions."""
    tail = name.removeprefix(f"{base}-")
    return tail != name and tail.replace("-", "").isdigit()


@cache
def _data() -> Mapping[str, Any]:
    return tomllib.loads(resources.files("mailassist.model").joinpath("models.toml").read_text(encoding="utf-8"))


@cache
def _models() -> Mapping[str, ModelInfo]:
    return dict(_listed())


def _listed() -> Iterator[tuple[str, ModelInfo]]:
    for name, table in _data()["models"].items():
        yield name, _info(name, table, known=True)


def _info(name: str, table: Mapping[str, Any], *, known: bool) -> ModelInfo:
    values = dict(table)
    values["capabilities"] = frozenset(values["capabilities"])
    if "image" in values:
        values["image"] = ImageTokens(**values["image"])
    return ModelInfo(name=name, known=known, **values)
