"""The HTTP client under the openai library: proxies, timeouts, an allow-list of headers, and a way to hang up at once.

Importing openai takes most of a second, so nothing here does it before it is needed; `warm_up` does it ahead.
"""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import weakref
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from functools import partial
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from mailassist.model.errors import Unreachable
from mailassist.model.registry import OPENAI_URL, Api, is_loopback
from mailassist.model.watch import StopWatch

if TYPE_CHECKING:
    import httpx2
    import openai
    from pydantic import SecretStr

Item = TypeVar("Item")

_POLL = 0.05  # seconds between two looks at `stopped`
_CONNECT_TIMEOUT = 15.0
_IDLE = 60.0  # seconds that a connection is kept for the next call
_watch = StopWatch()
# The library adds the operating system, the versions of everything, and what OPENAI_* variables say: none of it leaves.
_HEADERS = frozenset(
    {b"host", b"accept", b"accept-encoding", b"connection", b"content-type", b"content-length", b"transfer-encoding"}
    | {b"authorization", b"api-key", b"user-agent"}
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the model is, and how to talk to it."""

    base_url: str = ""  # "": OpenAI's
    api: Api | str = "auto"
    key: SecretStr | None = None
    timeout: float = 60.0  # seconds without a byte
    retries: int = 3
    api_version: str = ""  # of Azure's older addresses
    model: str = ""  # what the model is called there; "": as in the registry
    in_process: bool = False  # served by this very process

    @property
    def url(self) -> str:
        """The address, OpenAI's where none is named."""
        return self.base_url or OPENAI_URL

    @property
    def host(self) -> str:
        """The name for people and for the ledger: "this machine" where the model runs in this process."""
        return "this machine" if self.in_process else urlsplit(self.url).netloc.rpartition("@")[2]


def warm_up() -> None:
    """Import what the first call needs; meant for a thread that runs while mail is being fetched. Never raises."""
    import openai.resources.chat.completions
    import openai.resources.responses  # noqa: F401

    silence()


def silence() -> None:
    """Keep prompts out of logs: OPENAI_LOG=debug would print each request whole, over the terminal UI."""
    for name in ("openai", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.WARNING)


class Sent(Enum):
    """How much of a request left this machine."""

    NOTHING = auto()
    PART = auto()  # sending broke off
    WHOLE = auto()  # as far as is known here


class ReadFailed(Exception):
    """What the thread that reads from the server raised, as `error`: told apart from what the caller raises."""

    def __init__(self, error: Exception) -> None:
        """`error`: as it was raised."""
        super().__init__()
        self.error = error


@dataclass(slots=True)
class _Reading:
    """One request, as the thread that reads its answer sees it."""

    abandoned: threading.Event = field(default_factory=threading.Event)  # nobody waits for it any more
    sent: Sent = Sent.NOTHING


class Connection:
    """One openai client; it is opened at the first call and keeps its connection open between calls."""

    def __init__(self, endpoint: Endpoint, tls: Callable[[], ssl.SSLContext] | None = None) -> None:
        """`endpoint`: where to; `tls`: gives the settings of TLS that several connections share."""
        self._endpoint = endpoint
        self._tls = tls
        self._client: openai.OpenAI | None = None
        self._http: httpx2.Client | None = None  # what it sends with
        self._opening = threading.Lock()
        self._streams: weakref.WeakSet[Any] = weakref.WeakSet()  # every network stream that was opened
        self._reader = threading.local()
        self._reading = _Reading()  # the last one

    @property
    def sent(self) -> Sent:
        """How much of the last request left."""
        return self._reading.sent

    def client(self) -> openai.OpenAI:
        """The client. Raises Unreachable when the proxy settings cannot be used."""
        with self._opening:
            if self._client is None:
                self._client = self._open()
            return self._client

    def close(self) -> None:
        """Hang up and forget the client; never raises."""
        client, self._client, self._http = self._client, None, None
        if client is not None:
            self._cut()
            client.close()

    def ask(self, send: Callable[[openai.OpenAI], Item], stopped: Callable[[], bool]) -> Item:
        """What `send` gets from the server, in the caller's thread; hangs up when `stopped()` is true.

        Raises ReadFailed with what `send` raised; `abandoned` tells whether it was because of `stopped`.
        """
        self._reading = self._reader.reading = reading = _Reading()

        def hang_up() -> None:
            reading.abandoned.set()
            self._cut()

        with _watch.watching(stopped, hang_up):
            try:
                return send(self.client())
            except Exception as error:  # noqa: BLE001  (raised again, named)
                raise ReadFailed(error) from None

    def post(self, path: str, body: Mapping[str, Any], timeout: float) -> object:
        """What the server answers to one POST of JSON: its JSON, else its text. For `send` of `ask`.

        By the HTTP client itself: what the openai library does around it, for retries and headers that do not leave
        here anyway, costs as much again as the request. Raises its errors. `path`: below the address, as "/responses".
        """
        import httpx2
        import openai

        client, http, endpoint = self.client(), self._http, self._endpoint
        if endpoint.api_version or http is None:  # Azure's older addresses are the library's to make
            return client.post(path, cast_to=object, body=dict(body), options={"timeout": timeout})
        extensions = {"timeout": _limits(timeout).as_dict(), "trace": partial(self._seen, self._reader.reading)}
        request = httpx2.Request(
            "POST", endpoint.url.rstrip("/") + path, headers=self._headers(), json=body, extensions=extensions
        )
        try:
            answer = http.send(request)
        except httpx2.TimeoutException as error:
            raise openai.APITimeoutError(request=request) from error
        except (httpx2.RequestError, ssl.SSLError) as error:
            raise openai.APIConnectionError(request=request) from error
        if not answer.is_success:
            raise _status_error(answer)
        is_json = answer.headers.get("content-type", "").partition(";")[0].strip().endswith("json")
        return answer.json() if is_json else answer.text

    def _headers(self) -> dict[str, str]:
        """All that is said beside the body."""
        key = self._endpoint.key
        told = {"accept": "application/json", "accept-encoding": "gzip, deflate", "connection": "keep-alive"}
        told["user-agent"] = _our_name()
        return told if key is None else {**told, "authorization": f"Bearer {key.get_secret_value()}"}

    @property
    def abandoned(self) -> bool:
        """Whether the last request was given up."""
        return self._reading.abandoned.is_set()

    def read(self, start: Callable[[], Iterator[Item]], stopped: Callable[[], bool]) -> Generator[Item, None, None]:
        """The items of `start()`, read by a thread, so that `stopped` is obeyed while the server is silent.

        Ends early, with the connection closed, when `stopped()` is true or the caller closes the iterator. Raises
        ReadFailed with what the thread raised.
        """
        items: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self._reading = reading = _Reading()

        def read() -> None:
            self._reader.reading = reading
            try:
                for item in start():
                    items.put(("item", item))
            except Exception as error:  # noqa: BLE001  (raised again in the caller's thread)
                items.put(("error", error))
            else:
                items.put(("end", None))

        thread = threading.Thread(target=read, name="model-reader", daemon=True)
        thread.start()
        try:
            yield from _received(items, stopped)
        finally:
            reading.abandoned.set()
            if thread.is_alive():
                self._cut()

    def _cut(self) -> None:
        for stream in list(self._streams):
            _shut(stream)

    def _open(self) -> openai.OpenAI:
        import httpx2
        import openai

        silence()
        endpoint = self._endpoint
        timeout = _limits(endpoint.timeout)
        with _proxy_errors():
            http = httpx2.Client(
                timeout=timeout,
                verify=self._tls() if self._tls else True,
                limits=httpx2.Limits(keepalive_expiry=_IDLE),
                follow_redirects=False,  # mail goes to the host that the person named, and to no other
                trust_env=not is_loopback(endpoint.url),
                event_hooks={"request": [self._prepare]},
            )
        self._http = http
        # The library would retry without looking at `stopped`; Writer does it instead.
        shared: dict[str, Any] = {"max_retries": 0, "timeout": timeout, "http_client": http}
        key = endpoint.key.get_secret_value() if endpoint.key else "none"
        if endpoint.api_version:
            parts = urlsplit(endpoint.url)
            origin = f"{parts.scheme}://{parts.netloc}"
            return openai.AzureOpenAI(azure_endpoint=origin, api_version=endpoint.api_version, api_key=key, **shared)
        return openai.OpenAI(base_url=endpoint.url, api_key=key, **shared)

    def _prepare(self, request: httpx2.Request) -> None:
        """Before each request of the library: only the allowed headers, and a hand on the socket."""
        if "trace" in request.extensions:  # by `post`
            return
        import httpx2

        allowed = [(name, value) for name, value in request.headers.raw if name.lower() in _HEADERS]
        request.headers = httpx2.Headers(allowed)
        request.headers["user-agent"] = _our_name()
        if self._endpoint.key is None:
            request.headers.pop("authorization", None)
            request.headers.pop("api-key", None)
        request.extensions = {**request.extensions, "trace": partial(self._seen, self._reader.reading)}

    def _seen(self, reading: _Reading, event: str, details: Any) -> None:
        """Called by httpcore2 at each step of a request.

        Remember each network stream, and end it if nobody waits; note how much has left.
        """
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            stream = details["return_value"]
            self._streams.add(stream)
            _keep_alive(stream)
            if reading.abandoned.is_set():
                _shut(stream)
        elif event.endswith("send_request_headers.started"):
            if details["request"].method != b"CONNECT":  # that is for a proxy and holds no prompt
                reading.sent = Sent.WHOLE
        elif event.endswith(("send_request_headers.failed", "send_request_body.failed")) and reading.sent is Sent.WHOLE:
            reading.sent = Sent.PART


def _received(items: SimpleQueue[tuple[str, Any]], stopped: Callable[[], bool]) -> Generator[Any, None, None]:
    while not stopped():
        try:
            kind, value = items.get(timeout=_POLL)
        except Empty:
            continue
        if kind == "error":
            raise ReadFailed(value) from None
        if kind == "end":
            return
        yield value


def _our_name() -> str:
    from mailassist import __version__

    return f"mailassist/{__version__}"


def _limits(seconds: float) -> httpx2.Timeout:
    """Without a byte for `seconds` a request fails; sooner where nobody answers the connection."""
    import httpx2

    return httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_TIMEOUT))


def _status_error(answer: httpx2.Response) -> openai.APIStatusError:
    """What the library raises for an answer that is none."""
    import openai

    said: object = answer.text.strip()
    try:
        said = json.loads(answer.text)
    except ValueError:
        pass  # a proxy's page
    body = said.get("error", said) if isinstance(said, dict) else said
    return openai.APIStatusError(f"Error code: {answer.status_code}", response=answer, body=body)


def _keep_alive(stream: Any) -> None:
    """Let the system ask (TCP keep-alive) whether the other side is still there while an answer is waited for."""
    try:
        connected = stream.get_extra_info("socket")
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    except (AttributeError, OSError):
        pass  # the call works without


def _shut(stream: Any) -> None:
    """End both directions. `socket.socket.shutdown` itself, since SSLSocket's takes the TLS state from the reader."""
    try:
        socket.socket.shutdown(stream.get_extra_info("socket"), socket.SHUT_RDWR)
    except (OSError, TypeError):
        pass  # closed already


@contextmanager
def _proxy_errors() -> Iterator[None]:
    try:
        yield
    except (ImportError, ValueError) as error:
        raise Unreachable(
            f"The proxy settings of the environment cannot be used: {error}", cure="Check HTTPS_PROXY and ALL_PROXY."
        ) from None
