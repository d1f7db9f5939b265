"""format=flowed (RFC 3676): lines joined to paragraphs again, quote levels kept."""

from __future__ import annotations


def unflow(text: str, delsp: bool = False) -> str:
    """Undo the flowing of `text` ("\\n" line ends): soft breaks removed, space-stuffing undone (RFC 3676, 4.4).

    A line that ends with a space goes on in the next line of the same quote depth; `-- ` never does.
    """
    done: list[str] = []
    pieces: list[str] = []
    open_depth = -1
    for line in text.split("\n"):
        stripped = line.lstrip(">")
        depth = len(line) - len(stripped)
        stripped = stripped.removeprefix(" ")
        if depth != open_depth and pieces:
            done.append(_joined(pieces, open_depth))
            pieces = []
        flows = stripped.endswith(" ") and stripped != "-- "
        if stripped == "-- " and pieces:
            done.append(_joined(pieces, open_depth))
            pieces = []
        pieces.append(stripped[:-1] if flows and delsp else stripped)
        open_depth = depth
        if not flows:
            done.append(_joined(pieces, depth))
            pieces = []
    if pieces:
        done.append(_joined(pieces, open_depth))
    return "\n".join(done)


def _joined(pieces: list[str], depth: int) -> str:
    text = "".join(pieces)
    if len(pieces) > 1 or depth:
        text = text if text == "-- " else text.rstrip(" ")
    return f"{'>' * depth} {text}".rstrip(" ") + (" " if text == "-- " else "") if depth else text
