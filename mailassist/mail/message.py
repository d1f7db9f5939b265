"""What a message is once it has been read: plain data, whatever the sender sent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Address:
    """One mailbox of RFC 5322: a display name, which proves nothing, and an address."""

    name: str
    email: str  # addr-spec as written, without angle brackets; the domain may be Unicode or A-labels
    defects: tuple[str, ...] = ()  # why this address is not to be used without a person (P10)

    @property
    def key(self) -> str:
        """What two spellings of the same address share: case folded, the domain in A-labels where possible."""
        if self.email.isascii():
            return self.email.casefold()
        local, at, domain = self.email.rpartition("@")
        try:
            domain = domain.encode("idna").decode("ascii")
        except UnicodeError:
            pass
        return f"{local}{at}{domain}".casefold()

    def __str__(self) -> str:
        """`Name <address>`, for people; never for a header (see `mail.compose`)."""
        return f"{self.name} <{self.email}>" if self.name else self.email


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is not the body: its name as the sender wrote it (hostile), its type and decoded size in bytes."""

    name: str
    content_type: str
    size: int
    inline: bool = False
    content_id: str = ""
    left: int = 0  # bytes that stayed on the server because the message is large; 0: nothing did


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """An attachment with its content, the transfer encoding undone; empty where it is over a limit."""

    attachment: Attachment
    data: bytes
    charset: str = ""  # as the sender says


class BlockKind(StrEnum):
    """What a run of lines of a body is."""

    OWN = "own"  # the author newly wrote it
    ANSWERED = "answered"  # quoted, and the author's text around it answers it line by line
    FORWARDED = "forwarded"  # somebody else's message, passed on
    QUOTED = "quoted"  # history
    ATTRIBUTION = "attribution"  # what a mail program puts above history: "On ... wrote:", copied headers, separators
    SIGNATURE = "signature"
    ADVERTISING = "advertising"  # "Sent from my ...", added by the mail program
    DISCLAIMER = "disclaimer"
    FOOTER = "footer"  # a mailing list's


@dataclass(frozen=True, slots=True)
class Block:
    """A run of lines of a body that are of one kind, as they stand there (quote marks and all)."""

    kind: BlockKind
    text: str


@dataclass(frozen=True, slots=True)
class Message:
    """One message, decoded. Every field is safe to read; none is safe to print (see `mail.safe_text`)."""

    message_id: str  # "<left@right>"; made from a hash of the message where the sender gave none
    subject: str = ""
    date: datetime | None = None  # always with a time zone
    from_: tuple[Address, ...] = ()
    sender: Address | None = None
    reply_to: tuple[Address, ...] = ()
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    mail_followup_to: tuple[Address, ...] = ()
    in_reply_to: tuple[str, ...] = ()  # msg-ids with angle brackets
    references: tuple[str, ...] = ()  # oldest first
    headers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # lower-case name -> decoded values, in order
    text: str = ""  # the body as text, "\n" line ends: text/plain preferred, else made from the HTML
    html: str = ""  # the HTML body as sent, where there is one; never rendered, never sent on
    reply: str = ""  # what the author newly wrote, and what of a quotation it needs
    quoted: str = ""
    signature: str = ""
    blocks: tuple[Block, ...] = ()  # the whole text in runs of one kind; the three above are made of them
    hidden: tuple[str, ...] = ()  # text that a person would not see; never mixed into `text`
    attachments: tuple[Attachment, ...] = ()
    encrypted: str = ""  # "PGP/MIME", "S/MIME", "inline PGP": named, never drafted
    too_complex: bool = False  # over the limits of `mail.parse.Limits`; read in part only, never drafted
    warnings: tuple[str, ...] = ()  # what was odd, one line each, for people
    size: int = 0  # bytes of the raw message

    @property
    def author(self) -> Address | None:
        """The first From address, else the Sender."""
        return self.from_[0] if self.from_ else self.sender

    def header(self, name: str) -> str:
        """The first value of header `name` (any case), or ""."""
        values = self.headers.get(name.lower(), ())
        return values[0] if values else ""
