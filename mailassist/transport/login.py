"""Logging in to an IMAP server, and what a person can do when it is refused."""

from __future__ import annotations

from mailassist.errors import LoginError
from mailassist.transport.arguments import string
from mailassist.transport.refusals import known_cure
from mailassist.transport.sasl import Credential, initial_response, spellings
from mailassist.transport.session import Answer, Refused, Session

_NEEDS_IDENTITY = ("163.com", "126.com", "yeah.net", "188.com", "coremail")


def log_in(session: Session, credential: Credential) -> None:
    """Log `credential` in. Raises LoginError with the provider's cure, SecretError, Throttled, BrokenConnection."""
    imap = session._imap
    if imap.state == "AUTH":  # PREAUTH: the connection itself proved who we are
        return
    session._cached_capabilities = None
    credential = credential.asked()
    session.secrets = spellings(credential)
    try:
        answer = _by_password(session, credential) if credential.method == "password" else _by_sasl(session, credential)
    except Refused as error:
        raise _refused(session, credential, error.text) from error
    imap.state = "AUTH"
    # What was told before the login does not hold any more (RFC 3501, 6.2.3).
    session._cached_capabilities = tuple(answer["CAPABILITY"][-1].upper().split()) if "CAPABILITY" in answer else None
    greeting = f"{session.host} {session.welcome!r}".lower()
    if any(name in greeting for name in _NEEDS_IDENTITY):
        session.identify()


def _by_password(session: Session, credential: Credential) -> Answer:
    told = session._imap.untagged_responses.get("CAPABILITY", [b""])[-1].upper().split()
    secret = credential.secret().get_secret_value()
    plain = (
        credential.mailbox != credential.login or not (credential.login + secret).isascii() or b"LOGINDISABLED" in told
    )
    if b"LOGINDISABLED" in told and b"AUTH=PLAIN" not in told:
        raise Refused("", "[PRIVACYREQUIRED] password login is disabled")
    if plain:
        return _by_sasl(session, credential)
    return session.run("LOGIN", string(credential.login), string(secret))


def _by_sasl(session: Session, credential: Credential) -> Answer:
    mechanism, response = initial_response(credential)
    told = session._imap.untagged_responses.get("CAPABILITY", [b""])[-1].upper().split()
    return session.authenticate(mechanism, response, at_once=b"SASL-IR" in told)


def _refused(session: Session, credential: Credential, text: str) -> LoginError:
    who = credential.login if credential.login == credential.mailbox else f"{credential.login} for {credential.mailbox}"
    return LoginError(
        f"{session.host} refused the login of {who}: {text}", cure=login_cure(session.host, text, credential.method)
    )


def login_cure(host: str, text: str, method: str) -> str:
    """What a person can do about a login that `host` refused with `text`."""
    lowered = text.casefold()
    if cure := known_cure(text):
        return cure
    if method != "password":
        return "The access token was not accepted: renew it (token_command), and check its scopes and `mailbox`."
    from mailassist.transport.autoconfig import advice_for_host  # late: only a failure needs the table

    if advice := advice_for_host(host):
        return advice
    if "privacyrequired" in lowered or "logindisabled" in lowered:
        return 'The server takes no passwords on this connection: use TLS, or method = "xoauth2" with a token_command.'
    return "Check login and password; many providers want an app password, and IMAP switched on in their web mail."
