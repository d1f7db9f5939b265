"""`/live`, `/ready` and `/metrics` for this machine alone: a loopback port, or a Unix socket.

It answers three paths, to GET, in one go; slow, large and many requests end by themselves. A request that names another
host in `Host` is refused, so that no web page that a person of this machine opens can read it.
"""

from __future__ import annotations

import io
import json
import os
import re
import socket
import socketserver
import stat
import threading
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from mailassist.daemon.metrics import Metrics
from mailassist.errors import ConfigError, MailassistError
from mailassist.team.status import LATE_AFTER, MailboxStatus, Overview

LIVE_WITHIN = 60.0  # seconds without progress of the work loop
DEADLINE = 5.0  # seconds for a whole request
LARGEST = 8192  # bytes of it
AT_ONCE = 8  # connections

Answer = tuple[HTTPStatus, str, bytes]  # status, content type, body


class Health:
    """The HTTP server, in threads of its own. Close it in the end."""

    def __init__(
        self,
        where: str,
        look: Callable[[], Overview],
        *,
        since_progress: Callable[[], float],
        watched: Callable[[], Collection[str]] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Listen at `where`: `127.0.0.1:9464`, `[::1]:9464`, `localhost:9464`, or the path of a Unix socket.

        `look`: see `Metrics`; `watched`: the mailboxes that this process watches, all where None. Raises ConfigError
        for an address of another machine, or one that cannot be listened at.
        """
        self._metrics = Metrics(look, since_progress=since_progress, monotonic=monotonic)
        self._since_progress = since_progress
        self._watched = watched
        self._server = _listening(where, self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.5,), name="health", daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that is listened at; 0 for a Unix socket."""
        address = self._server.server_address
        return address[1] if isinstance(address, tuple) else 0

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        if isinstance(self._server, _OnUnix):
            with suppress(FileNotFoundError):
                Path(self._server.path).unlink()

    def _answer(self, path: str) -> Answer | None:
        if path == "/live":
            return self._live()
        if path == "/ready":
            return self._ready()
        if path == "/metrics":
            return HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", self._metrics.page()
        return None

    def _live(self) -> Answer:
        age = self._since_progress()
        return _json(age < LIVE_WITHIN, {"live": age < LIVE_WITHIN, "since_progress": round(age, 1)})

    def _ready(self) -> Answer:
        """Ready: the store can be read, and each mailbox was looked at in time or is known to be broken."""
        try:
            overview = self._metrics.overview()
        except MailassistError:
            return _json(False, {"ready": False, "store": False})
        watched = None if self._watched is None else set(self._watched())
        mine = [one for one in overview.mailboxes if watched is None or one.name in watched]
        counts = {"looked_at": 0, "broken": 0, "late": 0}
        for one in mine:
            counts[_kind(one, overview.at)] += 1
        ready = not counts["late"]
        oldest = [one.numbers.oldest_arrival for one in overview.mailboxes if one.numbers.oldest_arrival is not None]
        queue = {
            "backlog": sum(one.numbers.backlog for one in overview.mailboxes),
            "oldest_seconds": round(max(0.0, overview.at - min(oldest))) if oldest else 0,
            "overdue": sum(one.numbers.overdue for one in overview.mailboxes),
        }
        return _json(ready, {"ready": ready, "store": True, "mailboxes": len(mine)} | counts | queue)


def _kind(one: MailboxStatus, now: float) -> str:
    if one.row.broken:
        return "broken"
    return "looked_at" if one.row.looked_at is not None and now - one.row.looked_at <= LATE_AFTER else "late"


def _json(good: bool, value: Mapping[str, object]) -> Answer:
    status = HTTPStatus.OK if good else HTTPStatus.SERVICE_UNAVAILABLE
    return status, "application/json", json.dumps(value).encode() + b"\n"


class _Handler(BaseHTTPRequestHandler):
    """One request, read as a whole before it is looked at."""

    server: _Server
    server_version, sys_version = "mailassist", ""

    def setup(self) -> None:
        super().setup()
        self.rfile = io.BufferedReader(io.BytesIO(_head(self.connection)))

    def do_GET(self) -> None:
        if not self._is_for_us(self.headers.get("Host", "")):
            self._send((HTTPStatus.FORBIDDEN, "text/plain", b"Only for this machine.\n"))
            return
        answer = self.server.answer(self.path)
        self._send(answer or (HTTPStatus.NOT_FOUND, "text/plain", b"There are /live, /ready and /metrics.\n"))

    def _is_for_us(self, host: str) -> bool:
        if isinstance(self.server, _OnUnix) or not host:
            return True
        found = re.fullmatch(r"\[?([0-9A-Za-z.:]+?)\]?(?::\d{1,5})?", host)
        return found is not None and _is_loopback(found[1])

    def _send(self, answer: Answer) -> None:
        status, kind, body = answer
        self.send_response(status)
        for name, value in (("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Nothing of the request comes back."""
        self.close_connection = True
        if code == HTTPStatus.NOT_IMPLEMENTED:
            code = HTTPStatus.METHOD_NOT_ALLOWED
        self._send((HTTPStatus(code), "text/plain", b"Not answered.\n"))

    def log_message(self, format: str, *args: Any) -> None:
        """Who asks is not logged."""


class _Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """A few connections at a time, each with a deadline."""

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 16

    def __init__(self, address: Any, answer: Callable[[str], Answer | None]) -> None:
        self.answer = answer
        self._free = threading.BoundedSemaphore(AT_ONCE)
        super().__init__(address, _Handler)

    def verify_request(self, request: Any, client_address: Any) -> bool:
        return self._free.acquire(blocking=False)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            request.settimeout(DEADLINE)
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hung up, or was too slow, is not told anything."""


class _OnPort(_Server):
    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        super().server_bind()


class _OnPort6(_OnPort):
    address_family = socket.AF_INET6


class _OnUnix(_Server):
    address_family = socket.AF_UNIX
    allow_reuse_address = False

    def server_bind(self) -> None:
        os.fchmod(self.socket.fileno(), stat.S_IRUSR | stat.S_IWUSR)  # so that nobody comes in before the mode is set
        super().server_bind()

    @property
    def path(self) -> str:
        return str(self.server_address)

    def get_request(self) -> tuple[Any, Any]:
        request, _ = super().get_request()
        return request, ("unix", 0)


def _listening(where: str, answer: Callable[[str], Answer | None]) -> _Server:
    try:
        if where.startswith(("/", "~", ".")):
            return _on_unix(Path(where).expanduser(), answer)
        host, port = _host_and_port(where)
        return (_OnPort6 if ":" in host else _OnPort)((host, port), answer)
    except OSError as error:
        raise ConfigError(
            f"daemon.health: {where} cannot be listened at: {error.strerror}", cure="Choose another port or path."
        ) from error


def _host_and_port(where: str) -> tuple[str, int]:
    found = re.fullmatch(r"\[?([0-9A-Za-z.:]+?)\]?:(\d{1,5})", where)
    if found is None or int(found[2]) > 65535:
        raise ConfigError(
            f"daemon.health: {where!r} is no address", cure="Write 127.0.0.1:9464, or the path of a Unix socket."
        )
    if not _is_loopback(found[1]):
        raise ConfigError(
            f"daemon.health: {where} could be reached from other machines",
            cure="Use 127.0.0.1, ::1 or a Unix socket; a proxy of yours may show it to others.",
        )
    return "127.0.0.1" if found[1].lower() == "localhost" else found[1], int(found[2])


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _on_unix(path: Path, answer: Callable[[str], Answer | None]) -> _Server:
    """A socket for owner and group. What a killed process left behind gives way, what is listened at does not."""
    if path.is_socket():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as trying:
            trying.settimeout(1.0)
            if trying.connect_ex(str(path)) == 0:
                raise ConfigError(
                    f"daemon.health: another daemon listens at {path}", cure="Stop it, or choose another."
                )
        path.unlink()
    server = _OnUnix(str(path), answer)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP)
    return server


def _head(connection: socket.socket) -> bytes:
    """A request's head, within the deadline. Raises OSError for one that is too slow, too large or cut off."""
    ends = time.monotonic() + DEADLINE
    read = b""
    while b"\r\n\r\n" not in read and b"\n\n" not in read:
        left = ends - time.monotonic()
        if left <= 0 or len(read) >= LARGEST:
            raise TimeoutError
        connection.settimeout(left)
        piece = connection.recv(LARGEST - len(read))
        if not piece:
            raise ConnectionResetError
        read += piece
    connection.settimeout(DEADLINE)
    return read
