"""Text in sentences: where one ends in any language, what points end none, and which of them ask something."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Sets of regular expressions: scripts that put no spaces between words (Thai, Japanese, Chinese), and Korean, which
# puts spaces, and endings onto words.
UNSPACED = "\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff"
HANGUL = "\uac00-\ud7af"
LOOKED_BACK = 40  # characters before the end of a sentence that tell whether it is one
LONGEST_ABBREVIATION = 16  # of them

# The end of a sentence: a mark before white space, closing quotes included; marks of CJK need no space behind them.
_SENTENCE_END = re.compile(r"[.!?…؟।;\u037e]+[\"'”’»)\]]*(?=\s|$)|[。！？]+[」』”]?")
# Points that end no sentence, whatever follows: after single letters, numbers, dotted letters (z.B., but not the hours'
# a.m. and p.m.), titles, and what stands before a noun. A small letter behind a point tells the others (etc., ca.).
_ABBREVIATION = re.compile(
    r"(?:^|[\s(/«„\"“])(?:[^\W\d_]|\d{1,2}|(?![ap]\.m\.)[^\W\d_]{1,2}(?:\.[^\W\d_]{1,3})+|[^\W\d_]-[^\W\d_]"
    r"|p\.\s?e[jx]|dra?|mrs?|ms|mx|messrs|mme|mmes|mlle|mgr|prof|st|ste|sra?|srta|sres|sig|sigg|dott|avv|ing|geom|spett|egr|exm[oa]"
    r"|dhr|mevr|drs|hr|fr|frl|dipl|dña|judr|mudr|phdr|rndr|inż|sn|doç|κκ|κα|κος|bzw|resp|inkl|incl|exkl|excl|zzgl|abzgl"
    r"|evtl|evt|ggfs?|vgl|insb|sog|bijv|zgn|esim|np|tzn|tj|tzv|např|napr|příp|popř|eks|approx|ca|cca|aprox|env|örn|pl|cf"
    r"|viz|vs|betr|lt|bez|attn|ul|avda|blvd|т\.?е|т\.?к|им|ул|г-н|г-жа|проф|гр)\.$",
    re.IGNORECASE,
)
# The same where a number follows.
_BEFORE_NUMBER = re.compile(
    r"(?:^|[\s(/])(?:nos?|nrs?|nro|núm|num|arts?|abs|abt|kap|figs?|abb|tab|vol|ref|réf|pp|pgs?|p[aá]gs?|str|t[eé]ls?|tlf"
    r"|max|min|mind|est|ext|kl|klo|godz|ok|čj|č\.?p|sz|stk|av|gem|αρ|τηλ|σελ|стр|тел|ст|кв"
    r"|jan|feb|febr|mar|apr|aug|sept?|o[ck]t|nov|de[cz])\.$",
    re.IGNORECASE,
)
_NUMBER_FOLLOWS = re.compile(r"\s*[#+€$£¥№]?\s?\d")
_QUESTION = re.compile(r"[?？؟\u055e\u037e]")
_GREEK = re.compile("[\u0370-\u03ff]")
_LIST_MARK = re.compile(r"^\s*(?:[-*•–—]|\(?\d{1,2}[.)]|\(?[a-z]\))\s+")


def sentences(text: str) -> Iterator[str]:
    """The sentences of `text`; a line end inside a paragraph is a space, a list's items stand alone."""
    for paragraph in re.split(r"\n\s*\n|\n(?=[ \t]*(?:[-*•–—]|\(?\d{1,2}[.)]|\(?[a-z]\))\s)", text):
        rest = " ".join(_LIST_MARK.sub("", paragraph).split())
        start = 0
        for end in _SENTENCE_END.finditer(rest):
            if _goes_on(rest[max(start, end.end() - LOOKED_BACK) : end.end()], rest[end.end() : end.end() + 4]):
                continue
            yield rest[start : end.end()].strip()
            start = end.end()
        if rest[start:].strip():
            yield rest[start:].strip()


def _goes_on(before: str, following: str) -> bool:
    """Whether the mark at the end of `before` is no end: a small letter follows, or an abbreviation precedes."""
    if before.endswith(";"):  # Greek's question mark, and a pause everywhere else
        return not _GREEK.search(before)
    if not before.endswith("."):
        return False
    if not following.strip():
        return False
    if following.lstrip()[:1].islower():
        return True
    start = max(len(before) - LONGEST_ABBREVIATION, 0)
    shortened = _ABBREVIATION.search(before, start)
    return bool(shortened or (_NUMBER_FOLLOWS.match(following) and _BEFORE_NUMBER.search(before, start)))


def is_question(sentence: str) -> bool:
    """Whether `sentence` has a question mark of any script."""
    return bool(_QUESTION.search(sentence)) or (sentence.endswith(";") and bool(_GREEK.search(sentence)))
