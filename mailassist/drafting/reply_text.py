"""What the model wrote, brought to what a reply is: text only, without wrapping, quotation or signature."""

from __future__ import annotations

import re

from mailassist.context.clean import without
from mailassist.mail.quotes import split

LONGEST_REPLY = 20_000  # characters; longer is no reply but a model that cannot stop

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e0fff]")
_FENCE = re.compile(r"\A\s*```[\w-]*[ \t]*\n(.*?)\n?```\s*\Z", re.DOTALL)
_OPEN_FENCE = re.compile(r"\A\s*```[\w-]*[ \t]*\n")
# What "Subject:" is called where a model puts one above its reply.
_SUBJECT = re.compile(
    r"\A\s*(?:\*\*)?(?:subject|betreff|objet|asunto|assunto|oggetto|onderwerp|ämne|emne|aihe|temat|předmět|predmet"
    r"|tárgy|subiect|konu|тема|θέμα|件名|主题|主旨|제목|الموضوع|נושא)(?:\*\*)?[ \t]*[:：][^\n]*\n+",
    re.IGNORECASE,
)


def cleaned(text: str, *, delimiter: str = "", signature: str = "") -> str:
    """The reply in what the model wrote.

    Removed are control characters, a code fence around the whole, a subject line above it, quoted text and a signature
    below it (the user's own, or one behind "-- "), and the prompt's delimiter. At most `LONGEST_REPLY` characters.
    """
    text = _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    fenced = _FENCE.match(text)
    text = fenced[1] if fenced else _OPEN_FENCE.sub("", text)
    text = "\n".join(line for line in text.split("\n") if not (delimiter and line.startswith(delimiter)))
    text = without(_SUBJECT.sub("", text), delimiter).strip()
    text = _without_signature(_unquoted(text), signature)
    return re.sub(r"\n{3,}", "\n\n", text)[:LONGEST_REPLY].rstrip()


def _unquoted(text: str) -> str:
    """`text` without quoted mail and "-- " signature; all of it where nothing else would be left."""
    return split(text).reply.strip() or text


def _without_signature(text: str, signature: str) -> str:
    """`text` without the user's signature at its end, which code adds."""
    lines, tail = text.rstrip().split("\n"), [line.strip() for line in signature.strip().split("\n") if line.strip()]
    kept = [line for line in lines if line.strip()]
    if not tail or [line.strip() for line in kept[-len(tail) :]] != tail or len(kept) <= len(tail):
        return text
    for _ in tail:
        while not lines[-1].strip():
            lines.pop()
        lines.pop()
    return "\n".join(lines).rstrip()
