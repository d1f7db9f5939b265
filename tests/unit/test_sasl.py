import base64

import pytest
from pydantic import SecretStr

from mailassist.config import LoginMethod, ServerSettings
from mailassist.errors import LoginError
from mailassist.transport.login import login_cure
from mailassist.transport.sasl import Credential, initial_response, oauth_failure


def credential(method: LoginMethod, login: str = "tom@x.example", mailbox: str = "", secret: str = "s3") -> Credential:
    settings = ServerSettings(host="imap.x.example", port=993, login=login, mailbox=mailbox, method=method)
    return Credential.of(settings, "account@x.example", lambda: SecretStr(secret))


def test_plain_names_whose_mailbox_it_is_only_where_that_differs() -> None:
    assert initial_response(credential("password")) == ("PLAIN", b"\0tom@x.example\0s3")
    shared = credential("password", mailbox="sales@x.example")
    assert initial_response(shared) == ("PLAIN", b"sales@x.example\0tom@x.example\0s3")


def test_oauth_names_the_shared_mailbox_as_user() -> None:
    shared = credential("xoauth2", mailbox="sales@x.example")
    assert initial_response(shared) == ("XOAUTH2", b"user=sales@x.example\1auth=Bearer s3\1\1")
    bearer = credential("oauthbearer", mailbox="a=b,c@x.example")
    assert initial_response(bearer) == ("OAUTHBEARER", b"n,a=a=3Db=2Cc@x.example,\1auth=Bearer s3\1\1")


def test_the_accounts_address_logs_in_where_nothing_else_is_configured() -> None:
    assert credential("password", login="").login == "account@x.example"


@pytest.mark.parametrize("secret", ["a\1b", "a\0b", "a\r\nb"])
def test_a_secret_with_control_characters_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(LoginError) as raised:
        initial_response(credential("xoauth2", secret=secret))
    assert secret not in str(raised.value)


def test_the_reason_of_an_oauth_failure_is_read() -> None:
    assert oauth_failure(base64.b64encode(b'{"status":"401","schemes":"bearer"}')) == "invalid or expired token"
    assert "scope wanted: mail" in oauth_failure(base64.b64encode(b'{"status":"403","scope":"mail"}'))
    for odd in (b"", b"!!!", base64.b64encode(b"[1]"), base64.b64encode(b"{")):
        assert oauth_failure(odd) == ""


@pytest.mark.parametrize(
    ("host", "text", "cure"),
    [
        ("imap.gmail.com", "[AUTHENTICATIONFAILED] Invalid credentials (Failure)", "app password"),
        ("imap.gmail.com", "[ALERT] Application-specific password required", "app password"),
        ("outlook.office365.com", "NO LOGIN failed. BasicAuthBlocked", "xoauth2"),
        ("imap.mail.me.com", "[AUTHENTICATIONFAILED]", "password"),
        ("mail.small.example", "[PRIVACYREQUIRED] Plaintext authentication disallowed", "TLS"),
        ("mail.small.example", "no", "app password"),
    ],
)
def test_a_refused_login_comes_with_the_providers_cure(host: str, text: str, cure: str) -> None:
    assert cure in login_cure(host, text, "password")


def test_authenticated_but_not_connected_is_about_the_mailbox() -> None:
    said = "User is authenticated but not connected."
    assert "Full Access" in login_cure("outlook.office365.com", said, "xoauth2")
