"""Addresses: reading them from header values (RFC 5322, 3.4), and knowing which are the user's own.

The reader is linear and lenient, and says what it was lenient about: an address with `defects` is never used without
the person. Display names prove nothing; what is encoded (RFC 2047) can only ever become a display name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from mailassist.mail.header_fields import decode_words
from mailassist.mail.message import Address, Message

LONGEST = 320  # characters of an address: RFC 5321, 4.5.3.1, 64 and 255 around the @
_ATOM = r"[^\s()<>\[\]:;@\\,\"\x00-\x1f\x7f]"
# The two forms of nearly all addresses in the world: `name <local@domain>` and `local@domain`.
_PLAIN = re.compile(rf'(?:"([^"\\<>]*)"|([^"\\<>()@,:;]*+))[ \t]*+<({_ATOM}+@{_ATOM}+)>|({_ATOM}+@{_ATOM}+)')
_EMAIL = re.compile(rf"{_ATOM}+@(?:{_ATOM}+|\[[0-9A-Fa-f:.]+\])")
# Begins only where a run of atom characters begins, so that a long run is read once.
_FIRST = re.compile(rf"<?(?<!{_ATOM})({_ATOM}++@{_ATOM}++)>?")
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"?|<[^<>,;]*>?|[(),:;]|[^\s"<(),:;]+|\s+', re.DOTALL)


def parse_addresses(value: str) -> tuple[Address, ...]:
    """The mailboxes in a raw header value, groups flattened, in order. Never raises; time is linear.

    What names no address at all is left out.
    """
    if len(value) < 500:
        return _remembered(value)
    return _parse(value)


@lru_cache(maxsize=8192)
def _remembered(value: str) -> tuple[Address, ...]:
    return _parse(value)


def _parse(value: str) -> tuple[Address, ...]:
    plain = _plain(value)
    return plain if plain is not None else tuple(_lenient(value))


def _plain(value: str) -> tuple[Address, ...] | None:
    """The fast way for the two ordinary forms; None where anything else is in `value`."""
    addresses = []
    for part in value.split(",") if '"' not in value else _split_outside_quotes(value):
        match = _PLAIN.fullmatch(part.strip())
        if match is None or len(match.group(3) or match.group(4)) > LONGEST:
            return None
        quoted, name, email, bare = match.groups()
        name = quoted if quoted is not None else name
        name = decode_words(name.strip()) if name else ""
        addresses.append(Address(name, email or bare))
    return tuple(addresses)


def _split_outside_quotes(value: str) -> list[str]:
    if value.count('"') % 2 or "\\" in value:
        return [value]
    pieces = value.split('"')
    parts, current = [], ""
    for number, piece in enumerate(pieces):
        if number % 2:
            current += f'"{piece}"'
            continue
        first, *rest = piece.split(",")
        current += first
        for part in rest:
            parts.append(current)
            current = part
    return [*parts, current]


@dataclass(slots=True)
class _Mailbox:
    """One mailbox while its tokens come in."""

    words: list[str] = field(default_factory=list)
    angle: str | None = None
    comments: list[str] = field(default_factory=list)
    defects: list[str] = field(default_factory=list)
    has_at: bool = False

    def address(self) -> Address | None:
        """What the tokens amount to, or None where they name no address."""
        phrase = "".join(self.words).strip()
        if self.angle is not None:
            return self._with_angle(phrase)
        if "@" not in phrase:
            return self._encoded(phrase)
        email = ".".join(part.strip() for part in phrase.split("."))
        email = "@".join(part.strip() for part in email.split("@"))
        if len(email.split()) > 1:
            self.defects.append("unreadable")
            email = next((word for word in email.split() if "@" in word), email)
        return self._finished(decode_words(" ".join(self.comments)), email)

    def _with_angle(self, phrase: str) -> Address | None:
        email = "".join((self.angle or "").split())
        email = email.rpartition(":")[2] if email.startswith("@") else email  # an obsolete route
        if not email:
            return None
        return self._finished(decode_words(_unquoted(phrase) or " ".join(self.comments)), email)

    def _encoded(self, phrase: str) -> Address | None:
        """Some programs encode the whole mailbox; it is read, but not trusted."""
        decoded = decode_words(phrase)
        match = _FIRST.search(decoded) if decoded != phrase else None
        if match is None:
            return None
        self.defects.append("encoded-address")
        return self._finished(decoded[: match.start()].strip(' "'), match.group(1))

    def _finished(self, name: str, email: str) -> Address:
        email = email.strip("'\"") if email.count("@") == 1 and email[:1] == "'" else email
        if len(email) > LONGEST or not _EMAIL.fullmatch(email):
            self.defects.append("not-an-address")
            email = email[:LONGEST]
        return Address(name, re.sub(r"[\x00-\x20\x7f]", "", email), tuple(dict.fromkeys(self.defects)))


def _unquoted(phrase: str) -> str:
    """A phrase without the quotes of its quoted strings."""
    if '"' not in phrase:
        return " ".join(phrase.split())
    plain = re.sub(r'"((?:[^"\\]|\\.)*)"?', lambda match: re.sub(r"\\(.)", r"\1", match.group(1)), phrase)
    return " ".join(plain.split())


def _lenient(value: str) -> Iterator[Address]:
    """Every mailbox of `value`, token by token."""
    mailbox, depth, comment = _Mailbox(), 0, [""]
    for token in _TOKEN.findall(value):
        if token == "(":
            depth += 1
        elif token == ")" and depth:
            depth -= 1
            if not depth:
                mailbox.comments.append("".join(comment).strip())
                comment = [""]
        elif depth:
            comment.append(token)
        elif token in ",;":
            yield from _flush(mailbox)
            mailbox = _carry(mailbox, token)
        elif token == ":" and not mailbox.has_at:
            mailbox = _Mailbox()  # the name of a group
        elif token[0] == "<":
            _take_angle(mailbox, token)
        elif token == ")":
            mailbox.defects.append("unbalanced")
        else:
            mailbox.words.append(token if mailbox.angle is None else "")
            mailbox.has_at = mailbox.has_at or "@" in token
            if mailbox.angle is not None and not token.isspace():
                mailbox.defects.append("text-after-address")
    if depth:
        mailbox.defects.append("unbalanced")
    yield from _flush(mailbox)


def _take_angle(mailbox: _Mailbox, token: str) -> None:
    if mailbox.angle is not None:
        mailbox.defects.append("two-addresses")
        return
    mailbox.angle = token.strip("<>")
    if not token.endswith(">"):
        mailbox.defects.append("unbalanced")


def _flush(mailbox: _Mailbox) -> Iterator[Address]:
    address = mailbox.address()
    if address is not None:
        yield address


def _carry(mailbox: _Mailbox, token: str) -> _Mailbox:
    """After a comma: an unquoted `Last, First <address>` keeps its first half."""
    words = mailbox.words
    if token == "," and mailbox.angle is None and words and not mailbox.has_at and len(words) < 20:
        return _Mailbox(words=[*words, ", "])
    return _Mailbox()


@lru_cache(maxsize=8192)
def normal(email: str) -> str:
    """The form in which two addresses of one mailbox are equal: case, IDNA, `+tag`, Gmail's dots folded."""
    key = Address("", email).key
    local, _, domain = key.rpartition("@")
    local = local.split("+", 1)[0] or local
    if domain in ("gmail.com", "googlemail.com"):
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def sender_rules(rules: Iterable[str]) -> tuple[str, ...]:
    """Rules `form@example.org`, or `example.org` (also `@`, `*@`) with its subdomains, for `named_by`."""
    plain = (rule.strip().casefold().removeprefix("*").removeprefix("@") for rule in rules)
    return tuple(rule for rule in plain if rule)


def named_by(email: str, rules: Collection[str]) -> bool:
    """Whether one of the `sender_rules` names an address (`Address.key`)."""
    domain = email.rpartition("@")[2]
    return any(email == rule or domain == rule or domain.endswith(f".{rule}") for rule in rules)


@dataclass(frozen=True)
class OwnAddresses:
    """The user's own addresses: the one answer to "is this us", and to who else stands behind a message."""

    exact: tuple[tuple[str, int], ...] = ()  # (normal form, index of the identity)
    domains: tuple[tuple[str, int], ...] = ()  # from aliases like `*@example.org`
    personal: tuple[str, ...] = ()  # rules: senders whose automatic-looking mail comes from a person

    @classmethod
    def of(cls, faces: Iterable[tuple[str, Sequence[str]]], personal: Iterable[str] = ()) -> OwnAddresses:
        """From (address, aliases) of each identity, in order; the first identity that fits an address has it.

        `personal`: see `sender_rules`.
        """
        exact: dict[str, int] = {}
        domains: dict[str, int] = {}
        for index, (address, aliases) in enumerate(faces):
            for email in (address, *aliases):
                if email.startswith("*@"):
                    domains.setdefault(normal("x" + email[1:]).rpartition("@")[2], index)
                elif email:
                    exact.setdefault(normal(email), index)
        return cls(tuple(exact.items()), tuple(domains.items()), sender_rules(personal))

    def which(self, email: str) -> int | None:
        """The index of the identity that `email` belongs to, or None."""
        form = normal(email)
        for own, index in self.exact:
            if own == form:
                return index
        domain = form.rpartition("@")[2]
        return next((index for own, index in self.domains if own == domain), None)

    def owns(self, email: str) -> bool:
        """Whether `email` is one of ours (case, IDNA, `+tag` and `*@domain` folded)."""
        return self.which(email) is not None

    def wrote(self, message: Message) -> bool:
        """Whether `message` is ours: from an own address, and not what a form or a group sent in our name."""
        author = message.author
        return author is not None and self.owns(author.email) and not self.is_form(message)

    def is_personal(self, message: Message) -> bool:
        """Whether a `personal` rule names the sender."""
        return message.author is not None and named_by(message.author.key, self.personal)

    def is_form(self, message: Message) -> bool:
        """Whether somebody else stands behind the sender: in Reply-To of a web form, or of what a group passed on.

        A web form is one of a `personal` rule. A group is one of ours that for DMARC's sake puts its own address into
        From ("Bob via Info").
        """
        return self._visitor(message) is not None

    def correspondent(self, message: Message) -> Address | None:
        """Who wrote `message`: its author, of a form or a group whom Reply-To names."""
        return self._visitor(message) or message.author

    def through_own_list(self, message: Message) -> bool:
        """Whether a list with an own address passed `message` on: a support address behind a group."""
        return any(self.names_list(message.header(name)) for name in ("list-id", "list-post"))

    def _visitor(self, message: Message) -> Address | None:
        """The first in Reply-To who is not us, where the sender is a form or a group of ours."""
        author = message.author
        rewritten = author is not None and self.owns(author.email) and self.through_own_list(message)
        if not (rewritten or self.is_personal(message)):
            return None
        return next((address for address in message.reply_to if not self.owns(address.email)), None)

    def names_list(self, list_id: str) -> bool:
        """Whether a List-Id (`<support.example.org>`, RFC 2919) or List-Post names an own address."""
        inner = list_id[list_id.rfind("<") + 1 :].rstrip("> \t")
        if inner.lower().startswith("mailto:"):
            return self.owns(inner[7:].partition("?")[0])
        return any(own.replace("@", ".") == inner.casefold() for own, _ in self.exact)
