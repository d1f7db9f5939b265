"""What an author newly wrote: ours and every library of the package index that finds it, on stated replies."""

from __future__ import annotations

import json
import mailbox
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from importlib.metadata import PackageNotFoundError
from pathlib import Path

from benchmarks.measuring import interleaved, median, report
from mailassist.mail.parse import parse_message
from mailassist.mail.quotes import split

OUR_OWN = Path(__file__).parent.parent / "tests/unit/replies"
ROUNDS = 3
MOST_TIMED = 400  # messages of mbox files, evenly from all of them: some peers need seconds for these

Extract = Callable[[str], str]
Stated = tuple[str, str]  # a text, and the reply that a person reads in it


def run(arguments: list[str]) -> None:
    """`arguments`: the folder of stated replies (our own), a folder of mbox files to measure the speed with."""
    folder = Path(arguments[0]) if arguments else OUR_OWN
    stated = list(read_stated(folder))
    texts = [text for text, _ in stated]
    if len(arguments) > 1:
        found = list(read_mboxes(Path(arguments[1])))
        texts = found[:: max(len(found) // MOST_TIMED, 1)]
    extractors: dict[str, Extract] = {"mailassist": lambda text: split(text).reply}
    for package, load in PEERS.items():
        try:
            extractors[package] = load()
        except (ImportError, PackageNotFoundError) as missing:
            print(f"{package}: not installed here ({missing})")
    figures: dict[str, object] = {"stated": len(stated), "own_lines": sum(len(lines(reply)) for _, reply in stated)}
    for name, extract in extractors.items():
        right, lost = score(extract, stated)
        figures |= {f"{name}: exactly_right": right, f"{name}: own_lines_lost": lost}
    seconds = interleaved(ROUNDS, **{name: each(extract, texts) for name, extract in extractors.items()})
    figures["messages_timed"] = len(texts)
    for name in extractors:
        figures[f"{name}: messages_per_second"] = len(texts) / median(seconds[name])
    if "mail-parser-reply" in seconds:
        figures["times_mail-parser-reply"] = median(seconds["mail-parser-reply"]) / median(seconds["mailassist"])
    report("replies", figures, *(name for name in extractors if name != "mailassist"))


def read_stated(folder: Path) -> Iterator[Stated]:
    """Plain texts with a stated reply: of our `*.toml`, or of `*.jsonl` with the keys kind, input and reply."""
    for path in sorted(folder.glob("*.toml")):
        for message in tomllib.loads(path.read_text(encoding="utf-8"))["message"]:
            yield message["text"], message["reply"]
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            one = json.loads(line)
            if one["reply"] is not None and one["kind"] == "text":
                yield one["input"], one["reply"]
            elif one["reply"] is not None and one["kind"] == "message":
                yield parse_message(one["input"].encode()).text, one["reply"]


def read_mboxes(folder: Path) -> Iterator[str]:
    """The body of every message of the mbox files in `folder`."""
    for path in sorted(folder.glob("*.mbox")):
        for message in mailbox.mbox(path):
            yield parse_message(message.as_bytes()).text


def lines(text: str) -> Counter[str]:
    """The lines of `text` that say something, white space folded."""
    return Counter(" ".join(line.split()) for line in text.split("\n") if line.strip())


def score(extract: Extract, stated: list[Stated]) -> tuple[int, int]:
    """How many texts are exactly right, white space folded, and how many lines of authors are missing."""
    right = lost = 0
    for text, reply in stated:
        got = extract(text)
        right += got.split() == reply.split()
        lost += (lines(reply) - lines(got)).total()
    return right, lost


def each(extract: Extract, texts: list[str]) -> Callable[[], None]:
    """Work to be measured: `extract` on all of `texts`."""

    def work() -> None:
        for text in texts:
            extract(text)

    return work


def email_reply_parser() -> Extract:
    """The reply, as the port of GitHub's parser sees it."""
    parser = import_module("email_reply_parser").EmailReplyParser
    return lambda text: str(parser.parse_reply(text) or "")


def unquotemail() -> Extract:
    """The text without quotes."""
    unquote = import_module("unquotemail").Unquote
    return lambda text: str(unquote(None, text).get_text() or "")


def mail_parser_reply() -> Extract:
    """With every one of its languages."""
    languages = list(import_module("mailparser_reply.constants").MAIL_LANGUAGES)
    parser = import_module("mailparser_reply").EmailReplyParser(languages=languages)
    return lambda text: str(parser.parse_reply(text) or "")


def quotequail() -> Extract:
    """What stands above and below the quote that it unwraps."""
    unwrap = import_module("quotequail").unwrap

    def extract(text: str) -> str:
        found = unwrap(text)
        if not found:
            return text
        own = [found[key] for key in ("text_top", "text_bottom") if found.get(key)]
        return "\n".join(own or [found.get("text") or ""])

    return extract


def talon() -> Extract:
    """Without quotation and signature."""
    quotations = import_module("talon.quotations")
    signature = import_module("talon.signature.bruteforce")
    return lambda text: str(signature.extract_signature(quotations.extract_from_plain(text))[0] or "")


def email_reply_extractor() -> Extract:
    """Its first stage, which keeps greetings and closings."""
    extract_new_text = import_module("email_reply_extractor").extract_new_text
    return lambda text: str(extract_new_text(text).text or "")


# Of those with one module name only one can be installed: superops-talon, great-talon and other forks bring talon's,
# py-email-reply-parser and email-reply-parser-jimmy927 bring email-reply-parser's; kayako-talon, ktalon do not build.
PEERS: dict[str, Callable[[], Extract]] = {
    "email-reply-parser": email_reply_parser,
    "unquotemail": unquotemail,
    "mail-parser-reply": mail_parser_reply,
    "quotequail": quotequail,
    "email-reply-extractor": email_reply_extractor,
    "talon": talon,
}
