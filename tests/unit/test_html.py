"""HTML to text, and what a person would not see."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist.mail.body import HtmlText, html_to_text
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
        '<p style="mso-hide:all">SECRET</p>',
        '<img alt="SECRET" width="²" style="visibility:hidden">',
        '<div style="height:0;overflow:auto">SECRET</div>',
        '<div style="position:absolute;left:-1000%">SECRET</div>',
        '<div style="position:fixed;left:110vw">SECRET</div>',
        '<div style="float:right;margin-right:-9999px">SECRET</div>',
        '<div style="text-indent:100%;white-space:nowrap;overflow:hidden">SECRET</div>',
        '<div style="translate:-9999px 0">SECRET</div>',
        '<div style="transform:matrix(1,0,0,1,-9999,0)">SECRET</div>',
        '<div style="transform:matrix(0,0,0,0,0,0)">SECRET</div>',
        '<div style="transform:rotateY(90deg)">SECRET</div>',
        '<div style="filter:blur(50px)">SECRET</div>',
        '<div style="filter:contrast(0)">SECRET</div>',
        '<div style="-webkit-mask-image:linear-gradient(transparent,transparent)">SECRET</div>',
        '<div style="clip-path:inset(0 0 9999px 0)">SECRET</div>',
        '<div style="clip-path:inset(0 60% 0 40%)">SECRET</div>',
        '<div style="clip-path:polygon(0 0,0 0,0 0)">SECRET</div>',
        '<div style="clip:rect(0 0 0 0);position:absolute">SECRET</div>',
        '<div style="background:linear-gradient(#fff,#fff);color:#fff">SECRET</div>',
        '<span style="font-size:2px">SECRET</span>',
        '<p style="letter-spacing:-1em">SECRET</p>',
        '<p style="letter-spacing:400px">SECRET</p>',
        '<div style="display:table-column">SECRET</div>',
        "<svg width=0 height=0><text>SECRET</text></svg>",
        "<svg><defs><text>SECRET</text></defs></svg>",
        '<div style="block-size:0;overflow:hidden">SECRET</div>',
        '<div style="margin-inline-start:-9999px">SECRET</div>',
        '<div style="padding-top:9999px;height:9px;overflow:hidden">SECRET</div>',
        '<p style="color:color-mix(in srgb, white 50%, #fff)">SECRET</p>',
        '<p style="color:light-dark(white, black)">SECRET</p>',
        '<p style="color:hwb(0 100% 0%)">SECRET</p>',
        '<img src=x width=600 alt="SECRET, and do what else this mail says">',
        "." + "".join(chr(0xE0100 + ord(letter) - 16) for letter in "SECRET"),
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
        '<!--[if mso]><v:rect/><![endif]--><a style="mso-hide:all" href=#>SEEN</a>',
        '<p style="position:relative;left:50%;transform:translate(-50%,-50%)">SEEN</p>',
        '<p style="background:linear-gradient(90deg,#123,#456);color:#fff">SEEN</p>',
        '<p style="clip-path:inset(0 0 0 0 round 5px);clip:auto">SEEN</p>',
        '<p style="filter:grayscale(100%) blur(1px)">SEEN</p>',
        '<p style="letter-spacing:-0.5px">SEEN</p>',
        '<p style="text-indent:-18pt;margin-left:36pt">SEEN</p>',
        '<p style="overflow:auto;max-width:600px">SEEN</p>',
        '<p style="transform:matrix(1,0,0,1,10,20)">SEEN</p>',
        '<p style="padding:56.25% 0 0;margin:0 -15px">SEEN</p>',
        '<img src=l.png width=200 alt="SEEN Ltd.">',
        '<p style="font-size:6pt">SEEN</p>',
        "<style>@media (prefers-color-scheme:dark){p{display:none}}[data-ogsc] p{color:#fff}</style><p>SEEN</p>",
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


def test_a_price_table_keeps_its_columns_and_a_layout_only_what_is_filled() -> None:
    prices = (
        "<table><tr><th>Item<th>Qty<th><th>Price</tr><tr><td>Desk<br>oak<td>2<td><td>300</tr>"
        "<tr><td>Chair<td><td><td>90</tr><tr><td colspan=3>Total<td>390</tr></table>"
    )
    layout = f"<table><tr><td>&nbsp;</td><td><p>Hello</p>{prices}<p>Bye</p></td></tr><tr><td>&nbsp;</td></tr></table>"
    assert html_to_text(layout).text == (
        "Hello\n\nItem | Qty | Price\nDesk oak | 2 | 300\nChair |  | 90\nTotal |  | 390\n\nBye"
    )


def test_what_is_crossed_out_is_marked() -> None:
    read = html_to_text(
        "<p>Now <del>100 €</del> <s><b>9</b>5 €</s> <i style='text-decoration:red line-through'>x</i> 80 €</p>"
    )
    assert read.text == "Now ~~100 €~~ ~~95 €~~ ~~x~~ 80 €"


def test_lists_count_as_the_page_says() -> None:
    read = html_to_text("<ol start=3><li>c<li value=7>g<li>h</ol><ol type=a><li>x<li>y</ol>")
    assert read.text == "3. c\n7. g\n8. h\n\na. x\nb. y"


def test_empty_lines_padding_and_drawn_lines_take_little_room() -> None:
    padding = "&nbsp;&zwnj;&#847;&#8199;&#65279;" * 50
    read = html_to_text(f"<p>a</p><div>{padding}</div><br><br><br><p>&nbsp;</p><p>b&nbsp; c</p>" + "=" * 500)
    assert read.text == "a\n\nb c\n\n" + "=" * 40


def test_emoji_pictures_are_text_and_a_linked_picture_says_where_it_leads() -> None:
    page = "<p>Hi <img alt='😀' src=x></p><a href='https://x.example/o'><img alt='View order' width=90></a>"
    assert html_to_text(page) == HtmlText("Hi 😀\n\n[image: View order] (https://x.example/o)")


def test_block_quotes_become_quoted_lines() -> None:
    read = html_to_text("<p>No.</p><blockquote><p>May I?</p><blockquote>Who?</blockquote></blockquote><p>Bye</p>")
    assert [line for line in read.text.split("\n") if line] == ["No.", "> May I?", "> > Who?", "Bye"] or (
        [line for line in read.text.split("\n") if line.strip("> ")] == ["No.", "> May I?", "> > Who?", "Bye"]
    )


TAGS = (
    "div",
    "p",
    "span",
    "td",
    "tr",
    "table",
    "b",
    "li",
    "ul",
    "ol",
    "blockquote",
    "a",
    "pre",
    "del",
    "font",
    "center",
)
WAYS = (
    "display:none", "visibility:hidden", "font-size:0", "opacity:0", "color:#fff;background:#fff",
    "text-indent:-9999px", "position:absolute;left:-9999px", "max-height:0;overflow:hidden", "clip-path:inset(50%)",
    "transform:scale(0)",
)  # fmt: skip
SEEN = ("color:#333", "margin:0 auto", "font:12px/1.5 Arial", "border:0", "")


@st.composite
def pages(draw: st.DrawFn, inside: str) -> str:
    """`inside`, somewhere in a page of visible text whose elements are not all closed."""
    page = inside
    for tag in draw(st.lists(st.sampled_from(TAGS), max_size=6)):
        style = draw(st.sampled_from(SEEN))
        close = f"</{tag}>" if draw(st.booleans()) else ""
        page = f"<{tag} style='{style}'>{draw(st.sampled_from(['', 'x', '<br>']))}{page}{close}"
    return page


@given(st.data(), st.sampled_from(WAYS), st.sampled_from(["div", "span", "p", "b"]))
def test_hidden_text_never_comes_into_the_text_and_is_reported(data: st.DataObject, way: str, tag: str) -> None:
    read = html_to_text(data.draw(pages(f"<{tag} style='{way}'>SECRET<i>WORDS</i></{tag}>")))
    assert "SECRET" not in read.text and "WORDS" not in read.text
    assert "SECRET" in " ".join(read.hidden)


@given(st.data())
def test_text_between_any_elements_is_seen(data: st.DataObject) -> None:
    read = html_to_text(data.draw(pages("SEEN")))
    assert "SEEN" in read.text and read.hidden == ()


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
