"""P8: no dynamic string is ever read as markup. Every sink of Textual that could do so is looked at in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import mailassist.review

FOLDER = Path(mailassist.review.__file__).parent
# A string given to these is parsed as markup unless markup=False stands beside it.
SINKS = {"Static", "Label", "notify", "OptionList", "Toast"}
# These parse markup always, or show a string without making it safe first.
ATTRIBUTES = {"tooltip", "border_title", "border_subtitle", "sub_title"}
FORBIDDEN = {"assemble", "from_markup", "from_text", "Text", "Markdown", "Link", "Pretty", "RichLog", "Log"}
# A Content is made of a plain string only where that is a constant; all else goes through `shown` or `line`.
CONTENT = {"Content", "styled"}


def findings(source: str, name: str = "") -> Iterator[str]:
    """What is wrong with a module, one line each."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from _call(node, name)
        elif isinstance(node, ast.Attribute) and node.attr in (
            "tooltip",
            "border_title",
            "border_subtitle",
            "sub_title",
        ):
            yield f"{name}:{node.lineno}: {node.attr} is read as markup"


def _call(node: ast.Call, name: str) -> Iterator[str]:
    called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    plain = any(
        word.arg == "markup" and isinstance(word.value, ast.Constant) and word.value.value is False
        for word in node.keywords
    )
    if called in SINKS and not plain:
        yield f"{name}:{node.lineno}: {called} without markup=False"
    if called in FORBIDDEN:
        yield f"{name}:{node.lineno}: {called} shows a string that was not made safe"
    if called in CONTENT and node.args and not isinstance(node.args[0], ast.Constant):
        yield f"{name}:{node.lineno}: {called} of a string that is not a constant; use phrases.shown or phrases.line"
    if called == "update" and node.args and isinstance(node.args[0], ast.JoinedStr):
        yield f"{name}:{node.lineno}: update with an f-string"


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.py")), ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_dynamic_string_reaches_a_markup_sink(path: Path) -> None:
    if path.name == "phrases.py":  # the one door: `shown` makes the string safe and gives it to Content
        return
    assert list(findings(path.read_text(encoding="utf-8"), path.name)) == []


def test_the_check_finds_what_it_is_for() -> None:
    bad = [
        'Static(f"Hello {name}")',
        "self.notify(text)",
        "Label(subject)",
        "Content.from_markup(subject)",
        "Content(message.subject)",
        'Content.styled(f"{subject}", "bold")',
        "self.border_title = subject",
        'self.update(f"{subject}")',
        "Content.assemble(subject)",
    ]
    for source in bad:
        assert list(findings(source)), source
