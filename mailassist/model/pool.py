"""Many calls at once: writers that share what they learn of the server and the settings of TLS.

Each writer has one connection of its own, which it keeps for the next call, so that hanging up ends one call only.
"""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from mailassist.model.client import Writer
from mailassist.model.connection import Connection, Endpoint
from mailassist.model.learnt import Learnt
from mailassist.model.registry import ModelInfo, is_loopback


class WriterPool:
    """The writers of one model at one server, for threads that borrow them. A writer is made when none is free."""

    def __init__(self, endpoint: Endpoint, info: ModelInfo, *, flex: bool = False) -> None:
        """`endpoint`: usually with `retries=0`, where somebody else decides when to ask again; `flex` as in Writer."""
        self.endpoint = endpoint
        self._flex = flex
        self._learnt = Learnt(endpoint, info)
        self._lock = threading.Lock()
        self._free: list[Writer] = []  # the last one that was used is lent first: its connection is still open
        self._closed = False
        self._tls: ssl.SSLContext | None = None

    @property
    def info(self) -> ModelInfo:
        """The model that writes: the one that was wished for, or its successor."""
        return self._learnt.known.info

    @property
    def host(self) -> str:
        """Where the text goes."""
        return self.endpoint.host

    @contextmanager
    def writer(self) -> Iterator[Writer]:
        """A writer for one thread, back in the pool at the end. Its answers come in one piece."""
        with self._lock:
            writer = self._free.pop() if self._free else None
        writer = writer or Writer(
            self.endpoint,
            self.info,
            streamed=False,
            flex=self._flex,
            learnt=self._learnt,
            connection=Connection(self.endpoint, self._shared_tls),
        )
        try:
            yield writer
        finally:
            with self._lock:
                if not self._closed:
                    self._free.append(writer)
            if self._closed:
                writer.close()

    def close(self) -> None:
        """Hang up where nobody writes; what is still written hangs up at its end."""
        with self._lock:
            self._closed, free, self._free = True, self._free, []
        for writer in free:
            writer.close()

    def _shared_tls(self) -> ssl.SSLContext:
        """Reading the system's certificates takes 50 ms and a megabyte: once for all writers."""
        import httpx2

        with self._lock:
            if self._tls is None:
                self._tls = httpx2.create_ssl_context(trust_env=not is_loopback(self.endpoint.url))
            return self._tls
