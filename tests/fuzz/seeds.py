"""Writes seeds for the fuzzer: `python tests/fuzz/seeds.py FOLDER [MESSAGE-FILE...]`."""

from __future__ import annotations

import sys
from pathlib import Path

MAIL = (
    b"From: Nora Meyer <nora@x.example>\r\nTo: me@own.example, =?utf-8?q?T=C3=B6m?= <tom@y.example>\r\n"
    b"Message-ID: <1@x>\r\nReferences: <0@x> <9@x>\r\nIn-Reply-To: <0@x>\r\nSubject: =?utf-8?b?R3LDvMOfZQ==?=\r\n"
    b"Date: Tue, 3 Nov 2026 09:12:00 +0100\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n"
    b"Content-Type: text/plain; charset=utf-8; format=flowed\r\n\r\nYes.\r\n\r\nOn Mon, Nov 2, 2026 at 1:00 PM Me "
    b"<me@own.example> wrote:\r\n> May I?\r\n\r\n-- \r\nNora\r\n--b\r\nContent-Type: text/html\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n<p style=3D'color:#fff'>x</p><del>1</del>\r\n--b--\r\n"
)
PAGE = (
    b"<style>.q{display:none} p:nth-child(2n) > b{color:var(--c, #fff)} @media screen{i{font:0/0 a}}</style>"
    b"<table><tr><th>A<th>B<tr><td colspan=2>1</table><ol start=3><li>x</ol><a href=https://x.example>y</a>"
    b"<div class=q>s</div><blockquote>q</blockquote><img alt=a width=1><pre> a\n b</pre><!--[if mso]>z<![endif]-->"
    b"<p style='clip-path:inset(50%);transform:matrix(1,0,0,1,-999,0);background:linear-gradient(red,red)'>t</p>"
)
TEXT = (
    b"Hello\n\nAm 3.11.2026 um 09:12 schrieb Nora <nora@x.example>:\n> a\n>> b\nc\n\nVon: a\nGesendet: b\nAn: c\n\n"
    b"-- \nN\n"
)
VALUE = b'"Meyer, N." <n@x.example>, (c) t@y.example, g: a@b.example;, =?utf-8?q?=E2=82=AC?= <e@z.example>'


def main(folder: Path, files: list[str]) -> None:
    """Write each seed into a file of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    second = MAIL.replace(b"<1@x>", b"<2@x>").replace(b"<0@x>", b"<1@x>")
    seeds = [b"\0" + MAIL, b"\1" + PAGE, b"\2" + TEXT, b"\3" + VALUE, b"\4" + MAIL + b"\n\0\n" + second]
    seeds += [kind + Path(name).read_bytes()[:20_000] for name in files for kind in (b"\0", b"\4")]
    for number, seed in enumerate(seeds):
        (folder / f"seed-{number}").write_bytes(seed)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
