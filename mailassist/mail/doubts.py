"""What a person should know, or be asked, before an answer goes to the addresses that a message names (P10, P14)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from mailassist.mail.message import Address, Message

_IN_NAME = re.compile(r"[^\s<>()\"',;:@]+@[^\s<>()\"',;:@]+\.[^\s<>()\"',;:@]+")
_ONCE = ("from", "subject", "date", "to", "cc", "reply-to", "message-id")  # RFC 5322, 3.6: at most one each
# Letters of other alphabets that look like Latin ones: a domain made of these alone can pass for a Latin one.
_LOOKALIKES = frozenset("асԁеһіјӏорԛѕԝхуѵαοντικρυγ")


def is_list(message: Message) -> bool:
    """Whether a mailing list carried the message (RFC 2369, RFC 2919)."""
    return any(message.header(name) for name in ("list-id", "list-post"))


def same_domain(one: str, other: str) -> bool:
    """Whether the domains are equal or one lies below the other."""
    one, other = one.casefold(), other.casefold()
    return one == other or one.endswith(f".{other}") or other.endswith(f".{one}")


def confirmations(answered: Message, to: Sequence[Address], *, ours: bool, form: bool) -> tuple[list[str], bool]:
    """Why the person is asked before an answer leaves, and whether nobody but the person can name the recipient."""
    reasons = [_defect(address) for address in to if address.defects]
    must_choose = bool(reasons)
    if not to:
        reasons.append("no sender: the message does not say who wrote it")
        must_choose = True
    if ours:
        return reasons, must_choose
    if (len(answered.from_) > 1 or len(answered.headers.get("from", ())) > 1) and not is_list(answered):
        reasons.append("multiple From: " + ", ".join(_shown(address) for address in answered.from_))
        must_choose = True
    if not form and _automatic(answered):
        reasons.append(f"automatic message (Auto-Submitted: {answered.header('auto-submitted')}): nobody may read it")
        must_choose = True
    reasons += [] if form else _elsewhere(answered, to)
    reasons += [reason for address in _doubtful(answered, to) for reason in _disguises(address)]
    return list(dict.fromkeys(reasons)), must_choose


def remarks(answered: Message, to: Sequence[Address], *, ours: bool) -> list[str]:
    """What the person is told beside the recipients."""
    notes = ["The message answered is your own: the reply goes to its recipients"] if ours else []
    keys = {address.key for address in answered.from_}
    if not ours and to and not all(address.key in keys for address in to):
        notes.append(_why_not_the_sender(answered, to))
    notes += [f"{address.email} is written {_punycode(address)}" for address in to if _punycode(address)]
    repeated = [name for name in _ONCE if len(answered.headers.get(name, ())) > 1]
    if repeated:
        notes.append("duplicate header: " + ", ".join(repeated) + " stands more than once; the first counts")
    return notes


def _why_not_the_sender(answered: Message, to: Sequence[Address]) -> str:
    shown = ", ".join(_shown(address) for address in to)
    if _goes_to_list(answered, to):
        return f"The reply goes to the list: {shown}"
    if answered.mail_followup_to and {one.key for one in to} <= {one.key for one in answered.mail_followup_to}:
        return f"The sender asks for answers to (Mail-Followup-To): {shown}"
    author = _shown(answered.author) if answered.author else "nobody"
    return f"Reply-To differs from From: the answer goes to {shown}, not to {author}"


def _elsewhere(answered: Message, to: Sequence[Address]) -> list[str]:
    """Recipients in domains that the visible participants do not have: an answer may be led astray."""
    if not answered.author or _goes_to_list(answered, to):
        return []
    people = (*answered.from_, *answered.to, *answered.cc) if answered.mail_followup_to else answered.from_
    domains = {_domain(address) for address in people}
    return [
        f"Reply-To differs: {_shown(address)} is in another domain than {_shown(answered.author)}"
        for address in to
        if not any(same_domain(_domain(address), domain) for domain in domains)
    ]


def _goes_to_list(answered: Message, to: Sequence[Address]) -> bool:
    """Whether `to` is just the list's own address: as List-Post has it, or List-Id with the first dot for an @."""
    post = answered.header("list-post").casefold()
    identifier = answered.header("list-id").rpartition("<")[2].partition(">")[0].strip().casefold()
    return len(to) == 1 and (
        f"mailto:{to[0].email.casefold()}" in post or identifier == to[0].email.casefold().replace("@", ".", 1)
    )


def _doubtful(answered: Message, to: Sequence[Address]) -> Sequence[Address]:
    """Recipients and the sender, whose looks decide whether the person trusts the message."""
    return [*to, *(address for address in answered.from_ if address not in to)]


def _disguises(address: Address) -> list[str]:
    """A display name that shows another address; a domain that only looks like another."""
    reasons = []
    inside = [found.casefold() for found in _IN_NAME.findall(address.name)]
    if any(found != address.email.casefold() for found in inside):
        reasons.append(f"display name shows another address: {_shown(address)} calls itself {address.name}")
    if _lookalike(_domain(address)):
        reasons.append(f"homograph: the domain of {_shown(address)} imitates Latin letters")
    return reasons


def _lookalike(domain: str) -> bool:
    """Labels that mix alphabets, or that consist of letters which pass for Latin ones (UTS 39, 5.2, in short)."""
    for label in domain.split("."):
        letters = [one for one in label if one.isalpha()]
        scripts = {unicodedata.name(one, "?").split(" ")[0] for one in letters}
        mixed = len(scripts) > 1 and not scripts <= {"LATIN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"}
        if mixed or (letters and _LOOKALIKES.issuperset(letters)):
            return True
    return False


def _domain(address: Address) -> str:
    """The domain as people read it: Unicode, case folded."""
    domain = address.email.rpartition("@")[2].casefold()
    if "xn--" in domain:
        try:
            return domain.encode("ascii").decode("idna")
        except UnicodeError:
            return domain
    return domain


def _punycode(address: Address) -> str:
    """The address with its domain in A-labels where that differs from how it looks, else ""."""
    local, at, _ = address.email.rpartition("@")
    domain = _domain(address)
    if domain.isascii():
        return ""
    try:
        return f"{local}{at}{domain.encode('idna').decode('ascii')}"
    except UnicodeError:
        return f"{local}{at}{domain.encode('ascii', 'backslashreplace').decode('ascii')}"


def _shown(address: Address) -> str:
    """The bare address, with punycode beside where it is not ASCII (P14)."""
    plain = _punycode(address)
    return f"{address.email} ({plain})" if plain and plain != address.email else address.email


def _defect(address: Address) -> str:
    return f"{_shown(address)} is not a clean address: {', '.join(address.defects)}"


def _automatic(answered: Message) -> bool:
    """RFC 3834, 5: anything but "no" was not written by a person."""
    value = answered.header("auto-submitted").split(";")[0].strip().casefold()
    return bool(value) and value != "no"
