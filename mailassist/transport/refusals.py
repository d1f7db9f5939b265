"""What a person can do about a refusal, by the words in which IMAP servers put it."""

from __future__ import annotations

# Part of the answer (lower case) -> what to do; the first that fits. `providers.toml` knows the rest, by host.
_CURES = (
    ("basicauthblocked", "Microsoft takes no passwords over IMAP: set method = \"xoauth2\" and a token_command."),
    ("application-specific password", "Make an app password in the account's security settings and use that."),
    ("web login required", "Log in with a browser once, then make an app password."),
    ("user is authenticated but not connected",
     "The login is right, but this mailbox is not yours to open: check `mailbox`, and ask for Full Access to it."),
    ("imap access is disabled", "Switch IMAP on in the provider's web mail settings."),
    ("not enabled for imap", "Switch IMAP on in the provider's web mail settings."),
    ("account is locked", "The account is locked: log in with a browser first."),
)  # fmt: skip


def known_cure(text: str) -> str:
    """The cure for a refusal of any command (Exchange lets in whom it opens no folder) that says `text`, or ""."""
    lowered = text.casefold()
    return next((cure for mark, cure in _CURES if mark in lowered), "")
