"""Loading data files, and what takes long while something else waits for the network."""

from __future__ import annotations

import threading
import tomllib
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from typing import Any


@cache
def data_file(package: str, name: str) -> Mapping[str, Any]:
    """The TOML file `name` that lies in `package`, read once."""
    return tomllib.loads(file_text(package, name))


def file_text(package: str, name: str) -> str:
    """The text of the file `name` that lies in `package`."""
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def for_language(file: Mapping[str, Any], code: str) -> Mapping[str, Any]:
    """The table of a data file for the language `code` (BCP 47), else the English one."""
    base = code.partition("-")[0].lower()
    found: Mapping[str, Any] = file.get({"no": "nb", "nn": "nb"}.get(base, base), file["en"])
    return found


def load_in_background(name: str, load: Callable[[], object]) -> threading.Thread:
    """Run `load` in a thread of its own, which is returned, started; it never keeps the program from ending."""

    def run() -> None:
        try:
            load()
        except Exception:
            if threading.main_thread().is_alive():  # a program that has ended no longer imports, and nobody waits
                raise

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread
