import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist.cli.servers import Choices, adjusted
from mailassist.errors import InputError
from mailassist.transport.autoconfig import advice_for_host, discover, parse_config

DOCUMENT = b"""<?xml version="1.0"?>
<clientConfig version="1.1"><emailProvider id="example.org"><domain>example.org</domain>
  <displayName>Example Mail</displayName>
  <incomingServer type="pop3"><hostname>pop.example.org</hostname><port>995</port><socketType>SSL</socketType>
    <username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></incomingServer>
  <incomingServer type="ews"><hostname>%EMAILADDRESS</hostname><port>443</port></incomingServer>
  <incomingServer type="imap"><hostname>plain.example.org</hostname><port>143</port><socketType>plain</socketType>
    <username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></incomingServer>
  <incomingServer type="imap"><hostname>imap.%EMAILDOMAIN%</hostname><port>993</port><socketType>SSL</socketType>
    <username>%EMAILLOCALPART%</username><authentication>OAuth2</authentication>
    <authentication>password-cleartext</authentication></incomingServer>
  <outgoingServer type="smtp"><hostname>smtp.example.org</hostname><port>587</port><socketType>STARTTLS</socketType>
    <username>%EMAILADDRESS%</username><authentication>password-cleartext</authentication></outgoingServer>
</emailProvider></clientConfig>"""


def test_a_big_provider_needs_no_network() -> None:
    def refuse(_: str) -> bytes:
        raise AssertionError("asked the network")

    found = discover("you@gmail.com", fetch=refuse, mx=refuse)
    assert found is not None
    assert found.imap.host == "imap.gmail.com"
    assert "app password" in found.advice


def test_zoho_has_servers_of_its_own_for_domains_of_ones_own() -> None:
    personal = discover("you@zoho.com", fetch=lambda _: None, mx=lambda _: [])
    business = discover("you@shop.example", fetch=lambda _: None, mx=lambda _: ["mx2.zoho.eu."])
    assert personal is not None and personal.imap.host == "imap.zoho.com"
    assert business is not None and business.imap.host == "imappro.zoho.eu"


def choices(*, imap_security: str = "", smtp: str = "", smtp_security: str = "", token_command: str = "") -> Choices:
    return Choices(
        address="you@example.org", name="", real_name="", imap="", imap_security=imap_security, smtp=smtp,
        smtp_security=smtp_security, login="", mailbox="", method=None, cafile=None, password_command="",
        token_command=token_command, password_file=None, password_env="", drafts_only=False, learn_from_sent=None,
        yes=True,
    )  # fmt: skip


def test_the_command_line_changes_what_was_found() -> None:
    found = parse_config(DOCUMENT, "you@example.org", "x")
    assert found is not None
    imap, smtp, _ = adjusted(choices(imap_security="starttls", smtp="out.example.org"), found)
    assert smtp is not None and (imap.port, imap.security) == (143, "starttls")
    assert (smtp.host, smtp.port, smtp.security, smtp.login) == ("out.example.org", 465, "tls", "you")
    _, smtp, _ = adjusted(choices(smtp_security="tls", token_command="oama"), found)
    assert smtp is not None and (smtp.host, smtp.port, smtp.method) == ("smtp.example.org", 465, "xoauth2")
    with pytest.raises(InputError, match="this machine only"):
        adjusted(choices(imap_security="none"), found)


def test_the_domains_own_autoconfig_is_read_with_placeholders_filled() -> None:
    url = "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=you%40example.org"
    found = discover("you@example.org", fetch={url: DOCUMENT}.get, mx=lambda _: [])
    assert found is not None
    assert (found.imap.host, found.imap.port, found.imap.security) == ("imap.example.org", 993, "tls")
    assert (found.imap.login, found.imap.method) == ("you", "password")
    assert found.smtp is not None
    assert (found.smtp.host, found.smtp.security, found.smtp.login) == ("smtp.example.org", "starttls", "")


def test_the_ispdb_is_asked_after_the_domain_itself() -> None:
    asked: list[str] = []

    def fetch(url: str) -> bytes | None:
        asked.append(url)
        return DOCUMENT if url == "https://v1.ispdb.net/example.org" else None

    assert discover("you@example.org", fetch=fetch, mx=lambda _: []) is not None
    assert asked[0].startswith("https://autoconfig.example.org/")
    assert asked[-1] == "https://v1.ispdb.net/example.org"


def test_a_domain_hosted_at_a_big_provider_is_found_by_its_mx() -> None:
    found = discover(
        "you@shop.example", fetch=lambda _: None, mx=lambda _: ["shop-example.mail.protection.outlook.com."]
    )
    assert found is not None
    assert found.provider == "Microsoft 365"
    assert found.imap.method == "xoauth2"
    assert "mail.protection.outlook.com" in found.origin


def test_the_mx_hosts_parent_domains_are_asked_but_never_a_registry() -> None:
    asked: list[str] = []
    assert discover("you@shop.example", fetch=lambda url: asked.append(url), mx=lambda _: ["mx.hoster.co.uk"]) is None
    assert "https://v1.ispdb.net/hoster.co.uk" in asked
    assert not any("://v1.ispdb.net/co.uk" in url or "autoconfig.co.uk" in url for url in asked)


def test_an_address_never_travels_over_plain_http() -> None:
    asked: list[str] = []
    discover("secret.name@shop.example", fetch=lambda url: asked.append(url), mx=lambda _: [])
    assert not any("secret" in url for url in asked if url.startswith("http://"))


def test_entities_and_broken_documents_are_refused() -> None:
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]>' + DOCUMENT
    assert parse_config(bomb, "a@b.example", "x") is None
    assert parse_config(b"<clientConfig>", "a@b.example", "x") is None


def test_advice_is_found_again_by_the_servers_name() -> None:
    assert "app password" in advice_for_host("imap.fastmail.com")
    assert advice_for_host("mail.example.org") == ""


@given(st.text(max_size=60), st.binary(max_size=200))
def test_any_address_and_document_give_a_proposal_or_none(address: str, document: bytes) -> None:
    discover(address, fetch=lambda _: document, mx=lambda _: ["mx.example.net"])
