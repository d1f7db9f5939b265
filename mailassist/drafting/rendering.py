"""The prompt templates: where they lie, and how they are filled; the user's own of the same name take their place."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mailassist.errors import ConfigError

if TYPE_CHECKING:
    from jinja2 import Environment

# What the code of a template can raise.
_FAULTS = (ArithmeticError, AttributeError, LookupError, OSError, RecursionError, TypeError, ValueError)


def template_folder() -> Path:
    """Where our templates lie: inside the package in a wheel, at the top of the repository in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "system.j2").is_file():
            return folder
    raise ConfigError("The prompt templates are missing", cure="Install mailassist again.")


def render(name: str, values: Mapping[str, Any], overrides: Path | None = None) -> str:
    """The template `name` with `values`. Raises ConfigError with file and line where it cannot be rendered."""
    from jinja2 import TemplateError

    try:
        return _environment(overrides).get_template(name).render(values).strip()
    except (*_FAULTS, TemplateError) as error:
        raise _broken(name, error, overrides) from error


def _broken(name: str, error: Exception, overrides: Path | None) -> ConfigError:
    """What is wrong with a template: file, line where known, and the cure."""
    if isinstance(error, UnicodeDecodeError) and overrides is not None:  # which of them, nobody says
        return ConfigError(f"A template in {overrides} is not in UTF-8", cure="Save it as UTF-8.")
    file, line = getattr(error, "filename", None), getattr(error, "lineno", None)
    for frame, number in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_filename.endswith(".j2"):  # Jinja2 maps its frames back to the template's lines
            file, line = frame.f_code.co_filename, number
    place = f"{file or name}, line {line}" if line else str(file or name)
    ours = overrides is None or not str(file or "").startswith(str(overrides))
    cure = "Install mailassist again." if ours else "Correct it, or remove it to use ours again."
    said = " ".join(str(error).split())[:200] or type(error).__name__
    if isinstance(error, RecursionError):
        said = "it includes itself"
    return ConfigError(f"{place}: {said}", cure=cure)


def load_templates(overrides: Path | None = None) -> None:
    """Compile every template ahead; what is wrong with one shows when it is rendered."""
    from jinja2 import TemplateError

    for name in ("system.j2", "conversation.j2", "reply.j2", "revise.j2"):
        with suppress(TemplateError, OSError, UnicodeDecodeError):
            _environment(overrides).get_template(name)


@lru_cache(maxsize=4)
def _environment(overrides: Path | None) -> Environment:
    from jinja2 import FileSystemLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    folders = [folder for folder in (overrides, template_folder()) if folder is not None]
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(folders, encoding="utf-8-sig"),  # editors on Windows begin with a mark
        undefined=StrictUndefined,
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
