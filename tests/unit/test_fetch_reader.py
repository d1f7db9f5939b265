import imaplib
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from imapclient.response_parser import parse_fetch_response

from mailassist.errors import MailboxError
from mailassist.transport.fetch import internal_date, read, read_exactly

HEADER = b"BODY[HEADER.FIELDS (MESSAGE-ID SUBJECT)]"


def test_the_usual_answer_is_read_without_imapclient() -> None:
    start = b'12 (UID 5 FLAGS (\\Seen $X) INTERNALDATE "24-Nov-2026 00:10:00 +0100" RFC822.SIZE 77 ' + HEADER + b" {4}"
    assert read_exactly([(start, b"a: b"), b")"]) == {
        "UID": 5,
        "FLAGS": (b"\\Seen", b"$X"),
        "INTERNALDATE": b"24-Nov-2026 00:10:00 +0100",
        "RFC822.SIZE": 77,
        HEADER.decode(): b"a: b",
    }


def test_items_after_the_literal_and_two_literals_are_read() -> None:
    data = [(b"1 (" + HEADER + b" {2}", b"hi"), (b" UID 7 BODY[]<0> {3}", b"xyz"), b" FLAGS () X-GM-LABELS NIL)"]
    found = read_exactly(data)
    assert found is not None
    assert (found["UID"], found["FLAGS"], found["BODY[]<0>"], found["X-GM-LABELS"]) == (7, (), b"xyz", None)


def test_quoted_labels_and_headers_are_unquoted() -> None:
    found = read_exactly([b'3 (UID 9 X-GM-LABELS ("\\\\Inbox" "M\\"y" work) ' + HEADER + b' "a: b")'])
    assert found is not None
    assert found["X-GM-LABELS"] == (b"\\Inbox", b'M"y', b"work")
    assert found[HEADER.decode()] == b"a: b"


def test_what_does_not_fit_exactly_is_left_to_imapclient() -> None:
    odd: list[Any] = [(b"1 (UID 5 X-GM-LABELS ({3}", b"abc"), (b" \\Seen) " + HEADER + b" {2}", b"hi"), b")"]
    assert read_exactly(odd) is None
    assert read(odd)[0]["UID"] == 5
    assert read(odd)[0][HEADER.decode()] == b"hi"


def test_a_literal_of_the_wrong_length_is_not_believed() -> None:
    assert read_exactly([(b"1 (UID 5 " + HEADER + b" {9}", b"short"), b")"]) is None


NAMES = st.sampled_from([b"UID", b"RFC822.SIZE", b"MODSEQ", b"X-GM-THRID"])
FLAGS = st.lists(st.sampled_from([b"\\Seen", b"\\Answered", b"$Forwarded", b"NonJunk"]), max_size=4)
TEXTS = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


@given(st.dictionaries(NAMES, st.integers(1, 2**63)), FLAGS, TEXTS, st.binary(max_size=50), st.booleans())
def test_both_readers_agree(numbers: dict[bytes, int], flags: list[bytes], text: str, body: bytes, last: bool) -> None:
    quoted = b'"%s"' % text.replace("\\", "\\\\").replace('"', '\\"').encode()
    parts = [name + b" %d" % value for name, value in numbers.items()]
    parts += [b"FLAGS (%s)" % b" ".join(flags), b"EMAILID " + quoted]
    literal = HEADER + b" {%d}" % len(body)
    joined = b" ".join(parts)
    data: list[Any] = [(b"1 (" + joined + b" " + literal, body), b")"]
    if not last:
        data = [(b"1 (" + literal, body), b" " + joined + b")"]
    found = read_exactly(data)
    assert found is not None
    theirs = next(iter(parse_fetch_response(data, uid_is_key=False).values()))
    assert found == {name.decode(): value for name, value in theirs.items() if name != b"SEQ"}


@given(st.lists(st.one_of(st.binary(max_size=60), st.tuples(st.binary(max_size=60), st.binary(max_size=20)))))
def test_no_answer_makes_the_readers_fail_in_another_way(data: list[Any]) -> None:
    try:
        found = read(data)
    except MailboxError:
        return  # the one error that there is for it
    assert all(isinstance(one, dict) for one in found)


@given(st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)), st.integers(-720, 720))
def test_internal_dates_keep_their_time_zone(moment: datetime, minutes: int) -> None:
    aware = moment.replace(microsecond=0, tzinfo=timezone(timedelta(minutes=minutes)))
    assert internal_date(imaplib.Time2Internaldate(aware).strip('"').encode()) == aware


def test_a_date_that_is_none_is_none() -> None:
    for odd in (b"31-Feb-2026 00:00:00 +0000", b"nonsense", None, 7, b"01-Jan-2026 00:00:00 +9999"):
        assert internal_date(odd) is None
    assert internal_date(b" 1-Jan-2026 00:00:00 +0000") == datetime(2026, 1, 1, tzinfo=UTC)
