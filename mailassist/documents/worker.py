"""The process in which files are read that need a library: started for one conversation, ended when it takes too long.

What comes by mail is hostile, and libraries have bugs: this process has no secrets in its environment, little memory
(where the system offers a limit), opens no connection, starts no program, writes no file, and is killed at the time
limit. It answers in JSON and plain bytes, which cannot run anything in the program that asks.

Frames, both ways: a length (4 bytes, big-endian), JSON of that length, then the bytes whose lengths the JSON tells.
"""

from __future__ import annotations

import json
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import BinaryIO

from mailassist.documents import MISSING, Picture
from mailassist.documents.content import Content, Unreadable, cut

MEMORY = 1_536 * 1024 * 1024  # bytes of address space
CPU_SECONDS = 60  # of the whole process, should nobody be left to kill it
MOST_FRAME = 64 * 1024 * 1024
_REFUSED = ("socket.", "subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.fork", "os.remove",
            "os.rename", "os.mkdir", "os.chmod", "shutil.", "webbrowser.", "urllib.", "http.")  # fmt: skip
_LENGTH = struct.Struct(">I")


def serve(asked: BinaryIO, answers: BinaryIO) -> None:
    """Read files until there is no further one."""
    while (frame := read_frame(asked)) is not None:
        said, (data,) = frame
        content = read(str(said["kind"]), str(said["name"]), data)
        write_content(answers, content)


def read(kind: str, name: str, data: bytes) -> Content:
    """What a file of `kind` says; never raises for what the file holds."""
    try:
        return _reader(kind)(data, name)
    except Unreadable as error:
        return Content(note=str(error))
    except ModuleNotFoundError:
        return Content(note=MISSING)
    except (MemoryError, RecursionError):
        return Content(note="too large unpacked")
    except Exception as error:  # noqa: BLE001 - a library's bug costs this file only, and the note says so
        return Content(note=f"cannot be read ({type(error).__name__})")


def _reader(kind: str) -> Callable[[bytes, str], Content]:
    """Who reads `kind`; only that is loaded."""
    if kind == "pdf":
        from mailassist.documents import pdf

        return pdf.read
    if kind == "image":
        from mailassist.documents import pictures

        return pictures.read
    from mailassist.documents import office

    return _rtf if kind == "rtf" else lambda data, _: office.read(data)


def _rtf(data: bytes, _: str) -> Content:
    from striprtf.striprtf import rtf_to_text

    text: str = rtf_to_text(data.decode("latin-1"), errors="replace")  # type: ignore[no-untyped-call]
    return cut(text)


def write_frame(stream: BinaryIO, said: Mapping[str, object], *blobs: bytes) -> None:
    """Send one frame."""
    head = json.dumps({**said, "lengths": [len(blob) for blob in blobs]}).encode()
    stream.write(b"".join((_LENGTH.pack(len(head)), head, *blobs)))
    stream.flush()


def read_frame(stream: BinaryIO) -> tuple[dict[str, object], list[bytes]] | None:
    """The next frame; None at the end. Raises ValueError for what is none."""
    start = stream.read(_LENGTH.size)
    if len(start) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(start)
    said = json.loads(_exactly(stream, length))
    lengths: Sequence[int] = said["lengths"]
    return said, [_exactly(stream, one) for one in lengths]


def _exactly(stream: BinaryIO, length: int) -> bytes:
    if not isinstance(length, int) or not 0 <= length <= MOST_FRAME:
        raise ValueError("a frame that is too long")
    data = stream.read(length)
    if len(data) < length:
        raise ValueError("a frame that breaks off")
    return data


def write_content(stream: BinaryIO, content: Content) -> None:
    """Send what was read."""
    pictures = [[one.name, one.content_type, one.width, one.height] for one in content.pictures]
    said = {"text": content.text, "note": content.note, "pictures": pictures}
    write_frame(stream, said, *(one.data for one in content.pictures))


def as_content(said: dict[str, object], blobs: list[bytes]) -> Content:
    """The content that a frame tells. Raises ValueError, TypeError or KeyError for what is none."""
    told = said["pictures"]
    if not isinstance(told, list):
        raise TypeError("pictures")
    pictures = [
        Picture(str(name), str(kind), data, int(width), int(height))
        for (name, kind, width, height), data in zip(told, blobs, strict=True)
    ]
    return Content(str(said["text"]), str(said["note"]), tuple(pictures))


def _confine() -> None:
    """Give up what reading a file never needs. The hook stops libraries, not code that broke out of Python."""
    try:
        import resource
    except ImportError:  # Windows
        pass
    else:
        if sys.platform == "linux":
            resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event.startswith(_REFUSED):
        raise PermissionError(f"{event} while a file is read")
    if event == "open" and len(arguments) > 1 and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        raise PermissionError("a file was to be written while another is read")


def main() -> None:
    """Serve standard input to standard output."""
    answers = sys.stdout.buffer
    sys.stdout = sys.stderr  # whatever a library prints
    _confine()
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
