"""Lines and counted bytes from a mail server's socket, waited for or not."""

from __future__ import annotations

import imaplib
import selectors
import socket
import ssl
import time

_LONGEST_LINE = 16 * 1024 * 1024  # a SEARCH answer of a million messages has 8 MB
_LONGEST_LITERAL = 256 * 1024 * 1024  # a server that announces more has lost its way, or wants our memory
_LONGEST_NOTICE = 64 * 1024  # of a line that comes unasked
_AT_ONCE = 64 * 1024  # bytes taken without waiting; the others' turn is next


class Reader:
    """Reads from a socket with a buffer of its own.

    A buffered file would be useless after one timeout, hide what it holds from `select`, and in Python 3.14 imaplib
    keeps what came before TLS.
    """

    __slots__ = ("_at", "_held", "_source", "taken", "until")

    def __init__(self, source: socket.socket) -> None:
        """`source` keeps its own timeout; `until`, where it is set, ends what a server drags out by single bytes."""
        self._source = source
        self._held = b""
        self._at = 0
        self.taken = 0  # bytes that came from the socket
        self.until: float | None = None  # on the clock of time.monotonic()

    def line(self) -> bytes:
        """The next line with its end; b"" at the end of the connection. Raises TimeoutError."""
        searched = self._at
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held) - self._at
            if searched > _LONGEST_LINE or not self._more():
                return b""
        line = self._held[self._at : end + 1]
        self._at = end + 1
        return line

    def exactly(self, size: int) -> bytes:
        """The next `size` bytes; fewer at the end of the connection. Raises TimeoutError, imaplib's abort."""
        if size > _LONGEST_LITERAL:
            raise imaplib.IMAP4.abort(f"it announces {size} bytes in one piece")
        pieces = [self._held[self._at : self._at + size]]
        self._at += len(pieces[0])
        missing = size - len(pieces[0])
        while missing and (piece := self._receive(min(missing, 1 << 20))):
            pieces.append(piece)
            missing -= len(piece)
        return b"".join(pieces) if len(pieces) > 1 else pieces[0]

    def ready(self, seconds: float) -> bool:
        """Whether something can be read within `seconds`."""
        if self._at < len(self._held) or self.pending():
            return True
        with selectors.DefaultSelector() as selector:
            selector.register(self._source, selectors.EVENT_READ)
            return bool(selector.select(seconds))

    def pending(self) -> bool:
        """Whether TLS holds bytes that no selector sees, since they have left the socket."""
        return isinstance(self._source, ssl.SSLSocket) and self._source.pending() > 0

    def there(self) -> list[bytes]:
        """The whole lines that are there, without waiting; what is left of a line stays for the next time.

        The socket is left non-blocking. Raises imaplib's abort at the end of the connection and at a line without end.
        """
        self._source.settimeout(0.0)
        pieces = [self._held[self._at :]]
        came, ended = 0, False
        while came < _AT_ONCE and not ended:
            try:
                piece = self._source.recv(1 << 14)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            ended = not piece
            pieces.append(piece)
            came += len(piece)
        self.taken += came
        *lines, self._held = b"".join(pieces).split(b"\n")
        self._at = 0
        if (ended and not lines) or len(self._held) > _LONGEST_NOTICE:
            raise imaplib.IMAP4.abort("the end of the connection" if ended else "a line without end")
        return [line + b"\n" for line in lines]

    def _more(self) -> bool:
        piece = self._receive(1 << 16)
        self._held = self._held[self._at :] + piece
        self._at = 0
        return bool(piece)

    def _receive(self, most: int) -> bytes:
        if self.until is not None and time.monotonic() > self.until:
            raise TimeoutError("the answer takes too long")
        piece = self._source.recv(most)
        self.taken += len(piece)
        return piece
