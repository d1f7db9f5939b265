"""Files of office programs: ZIP archives with XML inside. Which one it is, and its members within limits."""

from __future__ import annotations

import io
import posixpath
import zipfile
import zlib
from xml.etree.ElementTree import Element, ParseError

from mailassist.documents.content import MOST_MEMBERS, MOST_UNPACKED, Content, Unreadable

_MEMBER = 40 * 1024 * 1024  # bytes of one XML member that is read whole
_RELATIONS = "{http://schemas.openxmlformats.org/package/2006/relationships}"
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, KeyError, RuntimeError)


class Package:
    """The members of an office file. Raises Unreadable for what is damaged, encrypted, or too large unpacked."""

    def __init__(self, data: bytes) -> None:
        try:
            self._archive = zipfile.ZipFile(io.BytesIO(data))
        except _BROKEN as error:
            raise Unreadable("damaged") from error
        members = self._archive.infolist()
        # What the directory says is an upper bound: the module reads no more of a member.
        if len(members) > MOST_MEMBERS or sum(member.file_size for member in members) > MOST_UNPACKED:
            raise Unreadable("too large unpacked")
        self.names = {member.filename for member in members}

    def read(self, name: str) -> bytes:
        """A member whole; b"" where there is none."""
        if name not in self.names:
            return b""
        try:
            with self._archive.open(name) as member:
                data = member.read(_MEMBER + 1)
        except _BROKEN as error:
            raise Unreadable("password" if "password" in str(error) else "damaged") from error
        if len(data) > _MEMBER:
            raise Unreadable("too large unpacked")
        return data

    def xml(self, name: str) -> Element | None:
        """A member's XML; None where there is none. Entities and document types are refused (defusedxml)."""
        data = self.read(name)
        return parsed(data) if data else None

    def related(self, name: str) -> dict[str, str]:
        """The members that `name` refers to, by relation id (ECMA-376, part 2)."""
        folder, file = posixpath.split(name)
        relations = self.xml(posixpath.join(folder, "_rels", f"{file}.rels"))
        found = {}
        for one in relations.iter(f"{_RELATIONS}Relationship") if relations is not None else ():
            if one.get("TargetMode") != "External":
                target = posixpath.normpath(posixpath.join("/", folder, one.get("Target", "")))
                found[one.get("Id", "")] = target.lstrip("/")
        return found


def parsed(data: bytes) -> Element:
    """The root of some XML. Raises Unreadable."""
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import fromstring

    try:
        root: Element = fromstring(data, forbid_dtd=True)
    except DefusedXmlException as error:
        raise Unreadable("refused: it declares XML entities") from error
    except (ParseError, ValueError, LookupError) as error:
        raise Unreadable("damaged") from error
    return root


def read(data: bytes) -> Content:
    """The text of a Word, Excel, PowerPoint or OpenDocument file. Raises Unreadable for other archives too."""
    package = Package(data)
    if "word/document.xml" in package.names:
        from mailassist.documents import word

        return word.read(package)
    if "xl/workbook.xml" in package.names:
        from mailassist.documents import sheets

        return sheets.read(package, data)
    if "ppt/presentation.xml" in package.names:
        from mailassist.documents import slides

        return slides.read(package)
    if "content.xml" in package.names:
        from mailassist.documents import opendocument

        return opendocument.read(package)
    raise Unreadable("an archive; it was not opened")
