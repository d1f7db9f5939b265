"""The quick way through an IMAP response gives what imaplib's own way gives."""

from __future__ import annotations

import imaplib
import socket
from collections.abc import Callable

from hypothesis import example, given
from hypothesis import strategies as st

from mailassist.transport.session import _Wire

PARTS = (
    *(b"*", b"+", b"OK", b"NO", b"BAD", b"BYE", b"FETCH", b"EXISTS", b"X-A", b"ok", b"A1", b"12", b"0", b"", b"\r"),
    *(b"[UIDNEXT 7]", b"[CLOSED]", b"[ALERT", b"]", b"{0}", b"{3}", b"{9}", b"}", b'"a b"', b"(FLAGS ())", b"\xff"),
)
WORDS = st.sampled_from(PARTS)
LINES = st.lists(WORDS, max_size=7).map(b" ".join)
Outcome = tuple[object, dict[str, list[object]], str]


def outcome(sent: bytes, read: Callable[[_Wire], object]) -> Outcome:
    """What comes of reading `sent`: what is returned, the untagged responses, what is raised."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"* OK ready\r\n" + sent)
        theirs.shutdown(socket.SHUT_WR)
        wire = _Wire(ours, "test")
        wire.untagged_responses.clear()
        given, raised = [], ""
        try:
            for _ in range(3):
                given.append(read(wire))
        except imaplib.IMAP4.abort as error:
            raised = str(error)
        return given, wire.untagged_responses, raised


@given(st.lists(LINES, max_size=4))
@example([b"* 3 EXISTS", b"* OK [UIDNEXT 4] next", b"* FLAGS (\\Seen)"])
@example([b"* 1 FETCH (UID 1 BODY[] {3}", b"abc)", b"* 2 FETCH (UID 2)"])
@example([b"* 12 OK [CLOSED]", b"* 5 NO [X-A 3] x"])
@example([b"* SEARCH", b"* 5 ", b"* OK [CLOSED"])
def test_both_ways_give_the_same(lines: list[bytes]) -> None:
    sent = b"".join(line + b"\r\n" for line in lines)
    assert outcome(sent, _Wire.next_response) == outcome(sent, lambda wire: wire._get_response())
