"""The text of a PDF, page by page, what is hidden kept apart; pages that are scanned as pictures. With PDFium."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from mailassist.documents import Picture
from mailassist.documents.content import ENOUGH, MOST_CHARACTERS, MOST_PAGES, Content, Unreadable, cut, hidden_note
from mailassist.documents.pictures import fitting, made_small

MOST_PICTURES = 5  # pages of a scan
_LEAST_TEXT = 10  # characters; a page with fewer says nothing
_MOST_OBJECTS = 20_000  # of a page that are looked at for hidden text
_SCANNED = 0.5  # the part of a page that its pictures cover, where it is a scan
_SMALLEST = 0.8  # points; text of less height cannot be read
_POINTS = 72.0
# PDFium's mark for a hyphen at the end of a line.
_HYPHEN = re.compile("[\x02\ufffe]\r?\n?")
_LEADERS = re.compile(r"[ ]?(?:[.·_] ?){6,}")  # of a table of contents, or to be filled in
_EMPTY_LINES = re.compile(r"[\r\n]\s*[\r\n]")  # what is left of lines that nobody sees
_INVISIBLE_MODE = 3  # of text rendering (ISO 32000, 9.3.6)


def read(data: bytes, name: str) -> Content:
    """Raises Unreadable."""
    import pypdfium2 as pdfium
    import pypdfium2.raw as raw

    try:
        document = pdfium.PdfDocument(data)
    except pdfium.PdfiumError as error:
        locked = getattr(error, "err_code", None) == raw.FPDF_ERR_PASSWORD or "password" in str(error).lower()
        raise Unreadable("password" if locked else "damaged") from error
    reading = _Reading(document, name)
    try:
        document.init_forms()
        reading.through()
    except (pdfium.PdfiumError, OSError, ValueError) as error:
        if not reading.pages:
            raise Unreadable("damaged") from error
        reading.broken = True
    return reading.content()


@dataclass(slots=True)
class _Reading:
    """Goes through the pages."""

    document: Any
    name: str
    pages: list[str] = field(default_factory=list)
    hidden: list[str] = field(default_factory=list)
    scanned: list[int] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    recognised: bool = False
    broken: bool = False
    crowded: bool = False  # a page has more pieces than are looked at for hidden text
    end: float = field(default_factory=lambda: monotonic() + ENOUGH)

    def through(self) -> None:
        """Read the first pages, until there is enough text."""
        room = MOST_CHARACTERS
        for number in range(min(len(self.document), MOST_PAGES)):
            text = self._page(number)
            self.pages.append(text)
            room -= len(text)
            if room <= 0 or monotonic() > self.end:
                break

    def content(self) -> Content:
        """All pages together."""
        total = len(self.document)
        text = "\n\n".join(page for page in self.pages if page)
        notes = [
            f"only the first {len(self.pages)} of {total} pages were read" if len(self.pages) < total else "",
            "damaged in part" if self.broken else "",
            _scanned_note(self.scanned, len(self.pages)),
            "text recognised from a scan" if self.recognised else "",
            hidden_note(self.hidden),
            "too many pieces: not all was looked through for hidden text" if self.crowded else "",
        ]
        made = cut(text, *notes)
        return Content(made.text, made.note, tuple(self.pictures))

    def _page(self, number: int) -> str:
        page = self.document[number]
        if _has_fields(page):  # what people filled in is no part of the page before it is flattened
            import pypdfium2.raw as raw

            raw.FPDFPage_Flatten(page, raw.FLAT_NORMALDISPLAY)
            page.close()
            page = self.document[number]
        try:
            unseen, whole = _unseen_objects(page)
            self.crowded = self.crowded or not whole
            seen, hidden = _text(page, unseen)
            covered = _covered(page) if len(seen) < _LEAST_TEXT else 0.0
            if len(seen) < _LEAST_TEXT and covered >= _SCANNED:
                if len(hidden) >= _LEAST_TEXT:  # the invisible text over a scan is what a program read in it
                    self.recognised = True
                    return hidden
                self._take_picture(page, number + 1)
            elif hidden:
                self.hidden.append(hidden)
            return seen
        finally:
            page.close()

    def _take_picture(self, page: Any, number: int) -> None:
        self.scanned.append(number)
        if len(self.pictures) < MOST_PICTURES:
            width, height = page.get_size()
            wanted = fitting(max(1, int(width * 10)), max(1, int(height * 10)))
            scale = min(wanted[0] / max(width, 1.0), wanted[1] / max(height, 1.0))
            image = page.render(scale=scale, draw_annots=True).to_pil().convert("RGB")
            self.pictures.append(made_small(image, f"{self.name}, page {number}"))


def _scanned_note(scanned: list[int], read: int) -> str:
    if not scanned:
        return ""
    if len(scanned) == read:
        return "scanned: no text"
    return f"page{'s' if len(scanned) > 1 else ''} {', '.join(map(str, scanned[:20]))} scanned: no text"


def _has_fields(page: Any) -> bool:
    """Whether something stands on the page that is no part of it: form fields, comments, stamps; not only links."""
    import pypdfium2.raw as raw

    for index in range(min(raw.FPDFPage_GetAnnotCount(page), 200)):
        annotation = raw.FPDFPage_GetAnnot(page, index)
        if annotation:
            kind = raw.FPDFAnnot_GetSubtype(annotation)
            raw.FPDFPage_CloseAnnot(annotation)
            if kind in (raw.FPDF_ANNOT_WIDGET, raw.FPDF_ANNOT_FREETEXT, raw.FPDF_ANNOT_STAMP):
                return True
    return False


def _text(page: Any, unseen: set[int]) -> tuple[str, str]:
    """What is seen on a page, and what is not: the text of the objects `unseen`."""
    text_page = page.get_textpage()
    try:
        if not unseen:
            return _clean(text_page.get_text_range()), ""
        seen, hidden = _by_object(text_page, unseen)
        return _clean(_EMPTY_LINES.sub("\n", seen)), " ".join(_clean(hidden).split())
    finally:
        text_page.close()


def _clean(text: str) -> str:
    return _LEADERS.sub(" … ", _HYPHEN.sub("-", text).replace("\r\n", "\n")).strip()


def _by_object(text_page: Any, unseen: set[int]) -> tuple[str, str]:
    """The characters of a page, those of `unseen` objects apart."""
    import pypdfium2.raw as raw

    seen: list[str] = []
    hidden: list[str] = []
    for index in range(min(text_page.count_chars(), MOST_CHARACTERS)):
        letter = chr(raw.FPDFText_GetUnicode(text_page, index))
        target = hidden if _address(raw.FPDFText_GetTextObject(text_page, index)) in unseen else seen
        target.append(letter)
        if target is seen and hidden and not hidden[-1].isspace() and letter.isspace():
            hidden.append(" ")
    return "".join(seen), "".join(hidden)


def _address(pointer: Any) -> int:
    return ctypes.cast(pointer, ctypes.c_void_p).value or 0


def _unseen_objects(page: Any) -> tuple[set[int], bool]:
    """The addresses of the text objects that nobody sees: invisible, too small, outside, white on nothing.

    And whether all objects of the page were looked at.
    """
    import pypdfium2.raw as raw

    kinds = (raw.FPDF_PAGEOBJ_TEXT, raw.FPDF_PAGEOBJ_PATH, raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_SHADING)
    texts, grounds, whole = [], [], True
    for number, one in enumerate(page.get_objects(filter=kinds, max_depth=10)):
        if number >= _MOST_OBJECTS:
            whole = False
            break
        if one.type == raw.FPDF_PAGEOBJ_TEXT:
            texts.append(one)
        elif one.type != raw.FPDF_PAGEOBJ_PATH or not _is_white(one):
            grounds.append(one.get_bounds())
    left, bottom, right, top = page.get_bbox()
    found = set()
    for one in texts:
        x0, y0, x1, y1 = one.get_bounds()
        outside = x1 < left or x0 > right or y1 < bottom or y0 > top
        invisible = raw.FPDFTextObj_GetTextRenderMode(one) == _INVISIBLE_MODE
        tiny = max(y1 - y0, x1 - x0) > 0 and min(y1 - y0, x1 - x0) < _SMALLEST and _size(one) < _SMALLEST
        if outside or invisible or tiny or (_is_white(one) and not _lies_on((x0, y0, x1, y1), grounds)):
            found.add(_address(one.raw))
    return found, whole


def _size(one: Any) -> float:
    """The size of a text's letters on the page, in points."""
    import pypdfium2.raw as raw

    size = ctypes.c_float()
    raw.FPDFTextObj_GetFontSize(one, ctypes.byref(size))
    matrix = one.get_matrix()
    return float(abs(size.value)) * float(max(abs(matrix.d), abs(matrix.b), abs(matrix.a), abs(matrix.c)))


def _is_white(one: Any) -> bool:
    """Whether an object is filled with white, or with nothing that can be seen."""
    import pypdfium2.raw as raw

    colors = [ctypes.c_uint() for _ in range(4)]
    if not raw.FPDFPageObj_GetFillColor(one, *(ctypes.byref(color) for color in colors)):
        return False
    red, green, blue, alpha = (color.value for color in colors)
    return alpha == 0 or min(red, green, blue) >= 250


def _lies_on(box: tuple[float, ...], grounds: list[tuple[float, ...]]) -> bool:
    """Whether something that is not white lies below the middle of a text."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    return any(left <= x <= right and bottom <= y <= top for left, bottom, right, top in grounds)


def _covered(page: Any) -> float:
    """About the part of the page that its pictures cover."""
    import pypdfium2.raw as raw

    width, height = page.get_size()
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in _bounds(page, (raw.FPDF_PAGEOBJ_IMAGE,))]
    covered = max(areas, default=0.0) if len(areas) < 4 else sum(areas)  # some scanners cut a page into strips
    return float(covered) / max(float(width * height), 1.0)


def _bounds(page: Any, kinds: tuple[int, ...]) -> Iterator[tuple[float, ...]]:
    for number, one in enumerate(page.get_objects(filter=kinds, max_depth=10)):
        if number >= _MOST_OBJECTS:
            return
        yield one.get_bounds()
