"""The text of a PowerPoint presentation (ECMA-376, PresentationML), slide by slide; hidden slides are left out."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from mailassist.documents.content import MOST_PAGES, Content, Unreadable, counted, cut, row_line
from mailassist.documents.office import Package

_A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
_P = "{http://schemas.openxmlformats.org/presentationml/2006/main}"
_R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
_DEPTH = 60
_MAIN = "ppt/presentation.xml"


def read(package: Package) -> Content:
    """Raises Unreadable."""
    root = package.xml(_MAIN)
    if root is None:
        raise Unreadable("damaged")
    related = package.related(_MAIN)
    names = [related.get(one.get(f"{_R}id", ""), "") for one in root.iter(f"{_P}sldId")]
    texts, hidden = [], 0
    for number, name in enumerate(names[:MOST_PAGES], 1):
        slide = package.xml(name)
        if slide is not None and slide.get("show", "1") in ("0", "false"):
            hidden += 1
        elif slide is not None:
            texts.append("\n".join([f"[slide {number}]", *_lines(slide)]))
    over = f"only the first {MOST_PAGES} slides were read" if len(names) > MOST_PAGES else ""
    return cut("\n\n".join(texts), over, counted(hidden, "hidden slide"))


def _lines(parent: Element, depth: int = 0) -> Iterator[str]:
    if depth > _DEPTH:
        return
    for child in parent:
        if child.tag == f"{_A}p":
            text = _paragraph(child).strip()
            if text:
                yield text
        elif child.tag == f"{_A}tr":
            yield row_line([" ".join(_lines(cell, depth + 1)) for cell in child.iter(f"{_A}tc")])
        elif child.find(f"./*/{_P}cNvPr[@hidden='1']") is None:
            yield from _lines(child, depth + 1)


def _paragraph(paragraph: Element) -> str:
    return "".join("\n" if one.tag == f"{_A}br" else one.text or "" for one in paragraph.iter() if _says(one))


def _says(one: Element) -> bool:
    return one.tag in (f"{_A}t", f"{_A}br")
