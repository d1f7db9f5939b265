"""HTML to text, and what a person would not see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist.mail.body import html_to_text
from mailassist.mail.invisible import without_invisible


@pytest.mark.parametrize(
    "html",
    [
        '<div style="display:none">SECRET</div>',
        '<div style="display : NONE !important; display:block">SECRET</div>',
        '<span style="font-size:0">SECRET</span>',
        '<span style="font:1px Arial">SECRET</span>',
        '<p style="visibility:hidden">SECRET</p>',
        '<p style="opacity:0.01">SECRET</p>',
        '<p style="color:#FEFEFE">SECRET</p>',
        '<p style="color:rgb(255, 255, 255)">SECRET</p>',
        '<p style="color:rgba(0,0,0,0)">SECRET</p>',
        '<p style="color:hsl(0,0%,100%)">SECRET</p>',
        '<table bgcolor="#336699"><tr><td><font color="336699">SECRET</font></td></tr></table>',
        '<div style="position:absolute;left:-9999px">SECRET</div>',
        '<div style="text-indent:-9999px">SECRET</div>',
        '<div style="height:0;overflow:hidden">SECRET</div>',
        '<div style="clip:rect(0,0,0,0);position:absolute">SECRET</div>',
        '<div style="transform:scale(0)">SECRET</div>',
        "<div hidden>SECRET</div>",
        '<div aria-hidden="true">SECRET</div>',
        "<style>.q { display:none }</style><p class=q>SECRET</p>",
        "<style>@media screen { #q, p b { font-size:0 } }</style><p>x <b>SECRET</b></p>",
        "<!-- SECRET -->",
        '<img src="cid:x" alt="SECRET" width=1 height=1>',
        '<a href="#" title="SECRET">.</a>',
        "<noscript>SECRET</noscript>",
        "<template>SECRET</template>",
        '<div style="display:none"><div style="display:block">SECRET</div></div>',
        '<style>.q{display:none!important}</style><p class=q style="display:block">SECRET</p>',
        '<style>.q{font-size:0 !important}</style><p class=q style="font-size:14px">SECRET</p>',
        '<div style="font:0/0 a">SECRET</div>',
        '<div style="font:bold 0 a;font:bogus">SECRET</div>',
        '<div style="display:/**/none">SECRET</div>',
        '<div style="display:none;display:bogus">SECRET</div>',
        '<div style="font-size:0;font-size:-5px">SECRET</div>',
        '<div style="\\64isplay:n\\6f ne">SECRET</div>',
        "<style>a{content:'/*'} .q{display:none} a{content:'*/'}</style><p class=q>SECRET</p>",
        "<style>a{content:'}'} .\\71 {display:none}</style><p class=q>SECRET</p>",
        "<style>:root{--c:#fff} .q{color:var(--c)}</style><p class=q>SECRET</p>",
        '<div style="--n:none"><p style="display:var(--x, var(--n))">SECRET</p></div>',
        '<div style="font-size:calc(1px * 2 - 2px)">SECRET</div>',
        '<div style="font-size:clamp(0px, 5em, 1px)">SECRET</div>',
        '<div style="zoom:.01">SECRET</div>',
        '<div style="transform:scale(.3)"><p style="scale:.3">SECRET</p></div>',
        '<div style="opacity:.3"><p style="opacity:.3">SECRET</p></div>',
        '<div style="color:oklch(100% 0 0)">SECRET</div>',
        "<style>p:nth-last-child(2){display:none}</style><p>SECRET</p>",
        "<style>i + b ~ .q > u:not(.v){display:none}</style><i></i><b></b><s></s><p class=q><u>SECRET</u></p>",
        "<style>p:has(> u.v){display:none}</style><p>SECRET<u class=v></u></p>",
        "<style>.q{color:red; .v &{display:none}}</style><div class=v><p class=q>SECRET</p></div>",
        "<style>@media print, (min-width:40em){.q{display:none}}</style><p class=q>SECRET</p>",
        "<iframe>SECRET</iframe>",
        "<video>SECRET</video>",
        "<audio>SECRET</audio>",
        "<canvas>SECRET</canvas>",
        "<noframes>SECRET</noframes>",
        "<noembed>SECRET</noembed>",
        "<dialog>SECRET</dialog>",
        "<ruby>a<rp>SECRET</rp></ruby>",
        "S\u200bE\u200bC\u200bR\u200bE\u200bT\u200b",
        "".join(chr(0xE0000 + ord(letter)) for letter in "SECRET"),
    ],
)
def test_hidden_text_is_set_apart(html: str) -> None:
    read = html_to_text(f"<p>Hello Ilse</p>{html}<p>Regards</p>")
    assert "SECRET" not in read.text
    assert "Hello Ilse" in read.text and "Regards" in read.text
    assert any("SECRET" in hidden for hidden in read.hidden) or "<template" in html


@pytest.mark.parametrize(
    "html",
    [
        '<td style="font-size:0"><span style="font-size:14px">SEEN</span></td>',
        '<div style="visibility:hidden"><b style="visibility:visible">SEEN</b></div>',
        '<div style="background:#003366;color:#fff">SEEN</div>',
        "<style>@media (max-width:600px) { .d { display:none } }</style><p class=d>SEEN</p>",
        "<style>.q{display:none} .q.on{display:block}</style><p class='q on'>SEEN</p>",
        '<p style="color:#999">SEEN</p>',
        '<p style="display:none;display:block">SEEN</p>',
        "<p style='dis/**/play:none'>SEEN</p>",
        "<p style=\"font-family:'x;display:none'\">SEEN</p>",
        "<style media=print>p{display:none}</style><p>SEEN</p>",
        "<style>@media not screen{p{display:none}}</style><p>SEEN</p>",
        "<style>a:hover, p::before{display:none}</style><p>SEEN <a href=#>SEEN</a></p>",
        "<style>p:nth-child(2n){display:none}</style><p>SEEN</p>",
        "<style>.q{display:none}</style><p class=q style='display:block!important'>SEEN</p>",
        "<p style='color:#fff;color:rebeccapurple'>SEEN</p>",
        "<p style='color:#fff;background:url(x.png) #123'>SEEN</p>",
        "<td background='x.png' style='color:#fff'>SEEN</td>",
        "<p style='color:#fff;color:inherit'>SEEN</p>",
        "<div style='color:#fff'><a href=#>SEEN</a></div>",
        "<div hidden style='display:block'>SEEN</div>",
        "<p style='height:1%;overflow:hidden'>SEEN</p>",
        "<p style='zoom:1;font:normal 12px/1.5 Arial'>SEEN</p>",
        "<dialog open>SEEN</dialog>",
        "<details><summary>SEEN</summary>SEEN</details>",
        "<p style='max-height:400px;overflow:hidden'>SEEN</p>",
    ],
)
def test_text_that_is_seen_stays(html: str) -> None:
    read = html_to_text(html)
    assert "SEEN" in read.text and read.hidden == ()


def test_tables_lists_links_and_breaks_are_readable() -> None:
    read = html_to_text(
        "<h1>Offer</h1><p>Two   items,<br>see <a href='https://x.example/offer'>here</a>"
        " or <a href='https://y.example'>https://y.example/</a>:</p>"
        "<table><tr><th>Item</th><th>Price</th></tr><tr><td><p>Desk</p></td><td>300&nbsp;€</td></tr></table>"
        "<ol><li>order<ul><li>by mail</ul><li>wait</ol><pre>a  b\n  c</pre>"
    )
    assert read.text == (
        "Offer\n\nTwo items,\nsee here (https://x.example/offer) or https://y.example/:\n\n"
        "Item | Price\nDesk | 300 €\n\n1. order\n   - by mail\n2. wait\n\na  b\n  c"
    )


def test_block_quotes_become_quoted_lines() -> None:
    read = html_to_text("<p>No.</p><blockquote><p>May I?</p><blockquote>Who?</blockquote></blockquote><p>Bye</p>")
    assert [line for line in read.text.split("\n") if line] == ["No.", "> May I?", "> > Who?", "Bye"] or (
        [line for line in read.text.split("\n") if line.strip("> ")] == ["No.", "> May I?", "> > Who?", "Bye"]
    )


@given(st.text(alphabet=st.sampled_from("<>/=\"' abdivpstylehidden:;{}-!&#0%\u200b"), max_size=300))
def test_any_html_gives_text(html: str) -> None:
    html_to_text(html)


def test_deep_and_endless_html_is_read_with_a_warning() -> None:
    deep = html_to_text("<div>" * 100_000 + "text" + "</div>" * 100_000)
    assert "text" in deep.text and deep.warnings
    assert "text" in html_to_text("<p " + " ".join(f"a{n}=1" for n in range(50_000)) + ">text").text
    assert "text" in html_to_text("<blockquote>" * 2000 + "text").text


def test_joiners_that_a_script_or_an_emoji_needs_stay() -> None:
    for text in (
        "👩\u200d🔬",
        "می\u200cخواهم",
        "Grüße",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
    ):
        assert without_invisible(text) == (text, ())
    assert without_invisible("pass\u200bword") == ("password", ())
