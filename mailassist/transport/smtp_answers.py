"""What an SMTP server's refusal means for a person (RFC 3463 status codes, and what the big providers really say)."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SmtpAnswer:
    """The server took the message."""

    text: str  # of the final 250; Outlook tells there which Message-ID it gave


# Part of the answer -> what to do about it; the first that fits.
_CURES = (
    ("5.7.139", "SMTP login is off for this mailbox: ask its administrator to enable it, or set mode = \"drafts\"."),
    ("5.7.30", "Microsoft no longer takes passwords for SMTP: use method = \"xoauth2\" with a token_command."),
    ("5.7.57", "The server wants a login before sending: check [accounts.NAME.smtp]."),
    ("5.7.60", "The mailbox may not send as this address: check the identity's address."),
    ("5.7.708", "The provider blocks this network: send from another one, or ask the provider."),
    ("5.2.252", "The mailbox may not send as this address: check the identity's address."),
    ("5.7.9", "The provider wants an app password: make one in the account's security settings."),
    ("5.7.8", "Wrong user name or password; providers with two-step verification want an app password."),
    ("5.3.4", "The reply is too large for the server: shorten the quote (quote = \"none\")."),
    ("5.2.3", "The reply is too large for the recipient: shorten the quote (quote = \"none\")."),
    ("5.2.2", "The recipient's mailbox is full."),
    ("4.2.2", "The recipient's mailbox is full; it is tried again."),
    ("5.1.1", "The recipient does not exist there: check the address."),
    ("5.1.0", "The server rejects an address: check sender and recipients."),
    ("5.1.8", "The server rejects the sender: the account may be blocked from sending."),
    ("5.4.5", "The provider's daily sending limit is reached: try tomorrow."),
    ("5.5.1", "The server wants a login before sending: check [accounts.NAME.smtp]."),
    ("5.7.1", "The server's rules forbid this reply: check the identity's address, or ask the provider."),
    ("5.7.0", "The server's rules forbid this reply: check the identity's address, or ask the provider."),
)  # fmt: skip
_BY_CODE = {
    421: "The server is busy; it is tried again.",
    452: "The server is out of space or has had too many messages; it is tried again.",
    530: "The server wants a login or encryption before sending: check [accounts.NAME.smtp].",
    535: "Wrong user name or password; providers with two-step verification want an app password.",
    550: "The server rejects the recipient or the sender: check the addresses.",
    552: 'The reply is too large for the server, or a mailbox is full: shorten the quote (quote = "none").',
    554: "The server rejects the reply: check the identity's address, or ask the provider.",
}


def cure(code: int, text: str) -> str:
    """What a person can do about the answer `code text`."""
    for status, advice in _CURES:
        if re.search(rf"(?<![\d.]){re.escape(status)}(?![\d.])", text):
            return advice
    if code in _BY_CODE:
        return _BY_CODE[code]
    return "It is tried again." if code < 500 else "The text is kept as a draft."


def login_cure(text: str, method: str) -> str:
    """What a person can do about a refused login by `method` ("password", "xoauth2", "oauthbearer")."""
    if method != "password" and "5.7.139" not in text:
        return "The access token was not accepted: see that token_command prints a fresh one for SMTP."
    return cure(535, text)
