"""Editing a draft in $VISUAL or $EDITOR."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from mailassist.errors import InputError


def editor_command(environment: Mapping[str, str]) -> list[str]:
    """The person's editor: $VISUAL, $EDITOR, else the first of a few that is there. Raises InputError."""
    named = environment.get("VISUAL") or environment.get("EDITOR")
    command = shlex.split(named, posix=os.name != "nt") if named else []
    for candidate in [*command[:1]] if command else ["sensible-editor", "nano", "vim", "vi", "notepad"]:
        if shutil.which(candidate):
            return command or [candidate]
    if command:
        raise InputError(f"The editor {command[0]!r} was not found", cure="Set $EDITOR to one that is installed.")
    raise InputError("No editor was found", cure="Set $EDITOR, or press e to edit here.")


def edit_outside(text: str, command: list[str]) -> str | None:
    """Let the person edit `text` in `command`; None when the file came back empty or the editor failed.

    The file lies in a folder that only the person can read (0700), and is removed afterwards. Raises InputError when
    the editor cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="mailassist-") as folder:
        path = Path(folder) / "reply.txt"
        path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")
        try:
            code = subprocess.run([*command, str(path)], check=False).returncode
        except OSError as error:
            raise InputError(f"The editor {command[0]!r} did not start: {error.strerror}") from error
        if code != 0 or not path.exists():
            return None
        edited = path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
    return edited if edited.strip() else None
