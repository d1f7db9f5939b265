"""Messages a second on one core, parsed, split and threaded, against the standard library; memory of `pack`."""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from functools import partial
from pathlib import Path

from benchmarks.mailbox import messages as synthetic
from benchmarks.measuring import best, median, report
from mailassist.demo.mailbox import load
from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.message import Address, Message
from mailassist.mail.parse import parse_message
from mailassist.mail.threads import thread
from mailassist.transport.files import read_messages

LIMIT = 1_000  # messages a second
ROUNDS = 5
SAMPLE = 2_000  # messages, the sample mailbox over and over
LONG_THREAD = 10_000  # messages
MAILBOXES = (2_000, 20_000)  # messages of the mailboxes of which one conversation is packed
_PACK = """
import resource, sys
from mailassist.cli import main
sys.argv = ["mailassist", "pack", sys.argv[1], "--thread", sys.argv[2], "--json"]
try:
    main()
except SystemExit:
    pass
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""


def run(arguments: list[str]) -> None:
    """`arguments`: a folder with mbox files (the sample mailbox, repeated)."""
    raws = read_mails(Path(arguments[0])) if arguments else sample_mails()
    seconds: dict[str, list[float]] = {"parse": [], "thread": [], "library": []}
    conversations = 0
    for _ in range(ROUNDS):
        parsed = [parse_message(raw) for raw in raws]
        seconds["parse"].append(_cpu(lambda: [parse_message(raw) for raw in raws]))
        seconds["thread"].append(_cpu(partial(thread, parsed, OwnAddresses())))
        seconds["library"].append(_cpu(lambda: [_library_text(raw) for raw in raws]))
        conversations = len(thread(parsed, OwnAddresses()))
    ours = [one + other for one, other in zip(seconds["parse"], seconds["thread"], strict=True)]
    figures = {
        "messages": len(raws),
        "conversations": conversations,
        "messages_a_second": len(raws) / median(ours),
        "messages_a_second_at_best": len(raws) / best(ours),
        "limit": LIMIT,
        "thread_alone_a_second": len(raws) / median(seconds["thread"]),
        "library_a_second": len(raws) / median(seconds["library"]),
        "ratio_to_the_library": median(seconds["library"]) / median(ours),
        **_long_threads(),
        "thread_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        **{f"pack_of_{count}_peak_mb": _pack_memory(count) for count in MAILBOXES},
    }
    report("parsing", figures, "selectolax")


def _cpu(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


def read_mails(folder: Path) -> list[bytes]:
    return [raw for path in sorted(folder.glob("*.mbox")) for raw in read_messages(path)]


def sample_mails() -> list[bytes]:
    """The sample mailbox as often as needed, each time with other ids."""
    once = [message.raw for message in load(datetime.now(UTC))]
    times = range(SAMPLE // len(once) + 1)
    return [raw.replace(b".example>", b".n%d.example>" % number) for number in times for raw in once][:SAMPLE]


def _library_text(raw: bytes) -> str:
    """What a program without us does: the text of the body, and the header fields."""
    message = message_from_bytes(raw, policy=policy.default)
    body = message.get_body(("plain", "html"))
    for name in ("from", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references"):
        str(message[name])
    try:
        return str(body.get_content()) if body is not None else ""
    except LookupError:
        return ""


def _long_threads() -> dict[str, float]:
    """Seconds for one conversation of many messages, by how they name each other."""
    ids = [f"<{number}@long.example>" for number in range(LONG_THREAD)]
    chain = [
        _one(ids, number, ids[max(0, number - 1) : number], ids[max(0, number - 20) : number])
        for number in range(len(ids))
    ]
    star = [_one(ids, n, ids[: min(n, 1)], ids[: min(n, 1)]) for n in range(len(ids))]
    gone = tuple(f"<{number}@gone.example>" for number in range(LONG_THREAD))
    many = [_one(ids, number, [], gone) for number in range(100)]
    return {
        "chain_of_10000_seconds": _cpu(lambda: thread(chain, OwnAddresses())),
        "star_of_10000_seconds": _cpu(lambda: thread(star, OwnAddresses())),
        "100_with_10000_references_seconds": _cpu(lambda: thread(many, OwnAddresses())),
    }


def _one(ids: Sequence[str], number: int, answers: Sequence[str], references: Sequence[str]) -> Message:
    return Message(
        ids[number],
        subject="Re: The long one",
        date=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
        from_=(Address("", f"writer{number % 50}@long.example"),),
        to=(Address("", "all@long.example"),),
        in_reply_to=tuple(answers),
        references=tuple(references),
    )


def _pack_memory(count: int) -> int:
    """Peak memory in MB of `mailassist pack` of the newest conversation in an mbox of `count` messages."""
    with tempfile.TemporaryDirectory() as folder:
        path, newest = Path(folder) / "mailbox", ""
        with path.open("wb") as file:
            for message in synthetic(count, now=1_790_000_000.0):
                body = message.raw.replace(b"\r\n", b"\n").replace(b"\nFrom ", b"\n>From ")
                file.write(b"From x Thu Jan  1 00:00:00 2026\n" + body + b"\n")
                newest = message.message_id
        done = subprocess.run(
            [sys.executable, "-c", _PACK, str(path), newest], check=True, capture_output=True, text=True
        )
    return int(done.stderr.split()[-1])
