"""Who logs in, and the first words of each way to log in (SASL), for IMAP and SMTP alike."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from pydantic import SecretStr

from mailassist.config import LoginMethod, ServerSettings
from mailassist.errors import LoginError


@dataclass(frozen=True, slots=True)
class Credential:
    """A login. `secret` is asked at each login, so that a token is fresh after a reconnect."""

    login: str  # who proves that it is them
    mailbox: str  # whose mailbox it is; equal to `login`, except for shared mailboxes
    method: LoginMethod
    secret: Callable[[], SecretStr]

    @classmethod
    def of(cls, settings: ServerSettings, address: str, secret: Callable[[], SecretStr]) -> Credential:
        """The login that the configuration asks for; `address` is the account's, for what it leaves out."""
        login = settings.login or address
        return cls(login, settings.mailbox or login, settings.method, secret)

    def asked(self) -> Credential:
        """The same login with its secret looked up, once and now.

        Raises SecretError, and LoginError for a secret that no server can be sent.
        """
        secret = self.secret()
        value = secret.get_secret_value()
        if any(mark in value for mark in "\0\r\n") or any("\ud800" <= character <= "\udfff" for character in value):
            raise LoginError(
                f"The password or token of {self.login} holds a line end, a NUL or no valid text; it was not sent",
                cure="Save it again as one line of text, with nothing behind it.",
            )
        return replace(self, secret=lambda: secret)


def initial_response(credential: Credential) -> tuple[str, bytes]:
    """The SASL mechanism and its first message, not yet base64.

    PLAIN (RFC 4616), OAUTHBEARER (RFC 7628), XOAUTH2 (Google's and Microsoft's). For OAuth the user named is the
    mailbox, the token says who asks. Raises LoginError when a value holds what would change the message's meaning.
    """
    secret = credential.secret().get_secret_value()
    if any(mark in value for value in (secret, credential.login, credential.mailbox) for mark in "\0\1\r\n"):
        raise LoginError("The login or its secret holds a control character", cure="Save it again, without line ends.")
    if credential.method == "xoauth2":
        return "XOAUTH2", f"user={credential.mailbox}\1auth=Bearer {secret}\1\1".encode()
    if credential.method == "oauthbearer":
        name = credential.mailbox.replace("=", "=3D").replace(",", "=2C")
        return "OAUTHBEARER", f"n,a={name},\1auth=Bearer {secret}\1\1".encode()
    authorize_as = credential.mailbox if credential.mailbox != credential.login else ""
    return "PLAIN", f"{authorize_as}\0{credential.login}\0{secret}".encode()


def spellings(credential: Credential) -> list[str]:
    """The secret in every form in which it is sent, the longest first; for `concealed`."""
    secret = credential.secret().get_secret_value()
    quoted = secret.replace("\\", "\\\\").replace('"', '\\"')
    encoded = [base64.b64encode(one).decode("ascii") for one in (secret.encode(), initial_response(credential)[1])]
    return sorted({one for one in (secret, quoted, *encoded) if one}, key=len, reverse=True)


def concealed(text: str, secrets: Iterable[str]) -> str:
    """What a server said, with *** for `secrets`: some repeat the command that they refuse."""
    for one in secrets:
        text = text.replace(one, "***")
    return text


def oauth_failure(challenge: bytes) -> str:
    """The reason in a server's error challenge (base64 JSON; RFC 7628, 3.2.2), in words; "" when there is none."""
    try:
        answer = json.loads(base64.b64decode(challenge))
    except (binascii.Error, ValueError):
        return ""
    if not isinstance(answer, dict):
        return ""
    known = {"400": "invalid_request", "401": "invalid or expired token", "403": "insufficient scope"}
    status = str(answer.get("status", ""))
    scope = f" (scope wanted: {answer['scope']})" if answer.get("scope") else ""
    return f"{known.get(status, status)}{scope}".strip()
