"""Mail that is made to cost time or memory is read within the limits (each of these once took minutes)."""

from __future__ import annotations

import pytest

from mailassist.mail.parse import parse_message

HEAD = "From: a@x.example\r\nMessage-ID: <a@b>\r\n"
MANY = range(2000)
HTML = HEAD + "Content-Type: text/html\r\n\r\n"
ALTERNATIVES = (
    HEAD + "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\n{}\r\n"
    "--b\r\nContent-Type: text/html\r\n\r\n{}\r\n--b--\r\n"
)


def styled(css: str, body: str) -> str:
    return f"<style>{css}</style>{body}"


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(HEAD + "To: " + "a@b:" * 200_000 + "\r\n\r\nx", id="colons-in-to"),
        pytest.param(HEAD + "To: a@" + "é" * 200_000 + "\r\n\r\nx", id="long-domain"),
        pytest.param(HEAD + "To: a" + " " * 500_000 + "@x.example\r\n\r\nx", id="space-before-at"),
        pytest.param(HEAD + "To: " + "(" * 900_000 + "\r\n\r\nx", id="comments-in-to"),
        pytest.param(HEAD + "To: " + "=?utf-8?b?aaaa?=" * 60_000 + "\r\n\r\nx", id="encoded-words-in-to"),
        pytest.param(HEAD + "Subject: " + "=?utf-8?q?" * 90_000 + "\r\n\r\nx", id="open-encoded-words"),
        pytest.param(HEAD + "Content-Type: " + "text/plain; a=b;" * 50_000 + "\r\n\r\nx", id="parameters"),
        pytest.param(HEAD + "\r\n" + "> a\n\nb\n\n" * 200_000, id="answers"),
        pytest.param(HEAD + "\r\n" + "wrote:\n" * 300_000, id="attributions"),
        pytest.param(HEAD + "\r\n" + "-- \n\n" * 300_000, id="signatures"),
        pytest.param(HEAD + "\r\n" + ("a" * 100 + ":\n") * 20_000, id="long-lines-with-colons"),
        pytest.param(ALTERNATIVES.format(*["a" * 500_000] * 2), id="long-word-twice"),
        pytest.param(HTML + "<div>" * 200_000, id="deep-html"),
        pytest.param(HTML + "<ul><li>x" * 100_000, id="deep-lists"),
        pytest.param(HTML + "<blockquote>" * 200 + "x<br>" * 200_000, id="deep-quotes"),
        pytest.param(HTML + "<style>" + "/*" * 500_000, id="css-comments"),
        pytest.param(
            HTML + styled("".join(f"p:nth-child({n}n+1){{color:red}}" for n in MANY), "<p>x" * 200_000), id="css-counts"
        ),
        pytest.param(HTML + styled("*:not(.c) ~ p{color:red}" * 3000, "<p>x" * 200_000), id="css-siblings"),
        pytest.param(HTML + styled("p~p~p~p~p~p~p~p{color:red}" * 2000, "<p>x" * 200_000), id="css-sibling-chains"),
        pytest.param(HTML + styled(("div " * 100 + "q{color:red}") * 600, "<div>x" * 150_000), id="css-descendants"),
        pytest.param(HTML + styled("div:has(p):has(q){color:red}" * 500, "<div><p>x</div>" * 60_000), id="css-has"),
        pytest.param(
            HTML + styled('[style*="ab"]{color:red}' * 2000, "".join(f"<p style=x:{n}>" for n in range(60_000))),
            id="css-attributes",
        ),
        pytest.param(
            HTML + styled("*{" + "".join(f"--a{n}:var(--a{n + 1});" for n in MANY) + "}", "<div>x" * 150_000),
            id="css-variables",
        ),
        pytest.param(
            HEAD
            + "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
            + (
                "--b\r\nContent-Type: text/html\r\n\r\n"
                + styled("".join(f"p:nth-child({n}n+1){{color:red}}" for n in range(30)), "<p>x" * 200)
                + "\r\n"
            )
            * 900,
            id="css-in-many-parts",
        ),
        pytest.param(HTML + styled("a,b{" * 100_000, "<p>x" * 100_000), id="css-nesting"),
        pytest.param(HTML + "<p style='" + "color:red;" * 90_000 + "'>x", id="css-in-an-attribute"),
        pytest.param(HTML + "<p " + "".join(f"a{n}=b " for n in range(100_000)) + ">x", id="attributes"),
        pytest.param(
            HEAD + "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "--\n" * 1_000_000, id="lines-like-borders"
        ),
    ],
)
def test_it_is_read(text: str) -> None:
    message = parse_message(text.encode())
    assert message.message_id == "<a@b>" and all(len(address.key) < 1000 for address in message.to)
