"""Whether a person seems to have written a message, and if not, why not, in plain words (RFC 3834, P20)."""

from __future__ import annotations

import re

from mailassist.mail.addresses import OwnAddresses
from mailassist.mail.message import Message

_NO_REPLY = re.compile(
    r"(?:no|do[-_.]?not|don[-_.]?t|never|cannot|please[-_.]?do[-_.]?not)[-_.]?(?:reply|respond|answer)"
    r"|(?:nicht[-_.]?antworten|keine[-_.]?antwort|ne[-_.]?pas[-_.]?repondre|no[-_.]?responder|n[aã]o[-_.]?respond[ae]r?"
    r"|non[-_.]?rispondere|niet[-_.]?(?:beantwoorden|antwoorden)|nie[-_.]?odpowiadaj|inte[-_.]?svara|svar[-_.]?ej"
    r"|ikke[-_.]?svar|ei[-_.]?vastata|neodpovidat)",
    re.IGNORECASE,
)
_MACHINES = re.compile(
    r"(?:mailer-daemon|postmaster|bounces?|newsletters?|notifications?|notify|alerts?|auto-?mailer|auto-?reply"
    r"|listserv|majordomo|mailman)(?:[-+_.].*)?",
    re.IGNORECASE,
)
_BULK = ("bulk", "list", "junk", "auto_reply")


def automatic(message: Message, own: OwnAddresses) -> str:
    """Why `message` seems to come from a program, or "" where a person seems to have written it.

    Mail that a rule of `own.personal` names (web forms), and mail of a list whose List-Id or List-Post names an own
    address (a support address behind a group), count as personal unless they are automatic replies or bounces.
    Header-only messages are enough.
    """
    certain = _automatic_reply(message) or _report(message)
    if certain:
        return certain
    if message.author is not None and own.wrote(message):
        return f"it was sent from your own address {message.author.email}"
    if own.is_personal(message) or own.through_own_list(message):
        return ""
    return _announced(message) or _list(message) or _sender(message)


def automatic_reply(message: Message) -> bool:
    """Whether a program certainly wrote `message`: an automatic reply, a bounce, a receipt."""
    return bool(_automatic_reply(message) or _report(message))


def _automatic_reply(message: Message) -> str:
    submitted = message.header("auto-submitted").partition(";")[0].strip().lower()
    if submitted.startswith("auto-replied"):
        return "it is an automatic reply (Auto-Submitted: auto-replied)"
    for name in ("x-autoreply", "x-autorespond", "x-autoresponder"):
        if message.header(name).strip().lower() not in ("", "no"):
            return f"it is an automatic reply ({name.title()})"
    if message.header("precedence").strip().lower() == "auto_reply":
        return "it is an automatic reply (Precedence: auto_reply)"
    return ""


def _report(message: Message) -> str:
    """Bounces and receipts (RFC 3464, RFC 8098)."""
    kind = message.header("content-type").lower()
    if kind.startswith("multipart/report"):
        receipt = "disposition-notification" in kind
        return "it is a read receipt" if receipt else "it is a delivery report"
    if message.header("x-failed-recipients"):
        return "it is a bounce (X-Failed-Recipients)"
    if message.header("return-path").strip() == "<>":
        return "it is a bounce or an automatic reply (empty Return-Path)"
    author = message.author
    if author is not None and author.email.partition("@")[0].lower() == "mailer-daemon":
        return "it is a bounce (from MAILER-DAEMON)"
    return ""


def _announced(message: Message) -> str:
    """What the headers say openly."""
    submitted = message.header("auto-submitted").partition(";")[0].strip().lower()
    if submitted not in ("", "no"):
        return f"it was sent by a program (Auto-Submitted: {submitted[:40]})"
    precedence = message.header("precedence").strip().lower()
    if precedence in _BULK:
        return f"it is bulk mail (Precedence: {precedence})"
    suppress = message.header("x-auto-response-suppress").lower()
    if any(word in suppress for word in ("all", "oof", "autoreply")):
        return "it was sent by a program (X-Auto-Response-Suppress)"
    return ""  # Feedback-ID says nothing: Fastmail and Proton write it into every message that a person sends


def _list(message: Message) -> str:
    for name in ("list-id", "list-post"):
        if message.header(name):
            return f"it came through a mailing list ({name.title()}: {message.header(name)[:80]})"
    if message.header("list-unsubscribe") or message.header("list-unsubscribe-post"):
        return "it is a newsletter (List-Unsubscribe)"
    return ""


def _sender(message: Message) -> str:
    author = message.author
    if author is None:
        return "it has no sender"
    local = author.email.rpartition("@")[0]
    if _NO_REPLY.search(local):
        return f"its sender takes no replies ({author.email})"
    if _MACHINES.fullmatch(local):
        return f"its sender is a program ({author.email})"
    return ""
