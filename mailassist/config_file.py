"""Reading the configuration file: where a wrong key or value stands, and the complete example.

TOML's own reader gives no positions once a file has parsed, so `line_of` finds the line of a key again.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mailassist.config import Account, Config, ModelSettings
from mailassist.errors import ConfigError

_TABLE = re.compile(r"^\s*\[\[?\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*(?P<key>(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_SECRET = re.compile(r"passw|secret|token|api_?key", re.IGNORECASE)
_NO_SECRETS = "secrets never stand in this file; name a keyring, command or 0600 file"
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\.?""")


def load(path: Path) -> Config:
    """Read and validate the file at `path`.

    Raises ConfigError, one line: file, line, what was expected, what was found; several mistakes are counted.
    """
    return parse(_read(path), str(path))


def parse(text: str, name: str) -> Config:
    """Validate the TOML document `text`; `name` stands for the file in errors. Raises ConfigError."""
    try:
        return Config.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{name}: not valid TOML: {error}", cure="`mailassist config example` shows the form."
        ) from error
    except ValidationError as error:
        raise ConfigError("; ".join(problems(text, name, error))) from error


def problems(text: str, name: str, error: ValidationError) -> list[str]:
    """One line for each mistake: `file:line: key: expected ..., found ...`."""
    return [_problem(text, name, details) for details in error.errors()]


def line_of(text: str, location: Sequence[str | int]) -> int:
    """The line (from 1) on which the key at `location` stands, or the nearest table or key around it; 0 if nowhere."""
    best_depth, best_line = 0, 0
    table: list[str | int] = []
    counts: dict[tuple[str | int, ...], int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        header = _TABLE.match(line)
        if header:
            table = _table_path(_parts(header["name"]), line.lstrip().startswith("[["), counts)
            path: list[str | int] = table
        elif key := _KEY.match(line):
            path = [*table, *_parts(key["key"])]
        else:
            continue
        depth = _common(path, location)
        if depth == len(path) and depth > best_depth:
            best_depth, best_line = depth, number
    return best_line


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors put a byte order mark first
    except FileNotFoundError:
        raise ConfigError(
            f"There is no configuration at {path}",
            cure="Run `mailassist setup you@example.org`, or name a file with --config.",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error


def _problem(text: str, name: str, details: ErrorDetails) -> str:
    location = [part for part in details["loc"] if part != "function-after"]
    line = line_of(text, location)
    key = ".".join(str(part) for part in location) or "the file"
    kind, message = details["type"], details["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        if _SECRET.search(str(location[-1])):
            return f"{name}:{line}: {key}: {_NO_SECRETS}"
        return f"{name}:{line}: {key}: unknown key, expected one of: {', '.join(_known_keys(location))}"
    if kind == "missing":
        return f"{name}:{line}: {key}: missing, expected a value"
    if any(_SECRET.search(str(part)) or part == "key" for part in location):
        return f"{name}:{line}: {key}: expected {message.removeprefix('Input should be ')}; {_NO_SECRETS}"
    found = details.get("input")
    shown = "" if isinstance(found, dict | list) else f", found {found!r}"
    expected = message.removeprefix("Input should be ")
    return f"{name}:{line}: {key}: expected {expected}{shown}"


def _known_keys(location: Sequence[str | int]) -> list[str]:
    """The keys that the table around `location` has."""
    schema = Config.model_json_schema()
    node: Any = schema
    for part in location[:-1]:
        node = _resolve(schema, node)
        if isinstance(part, int):
            node = node.get("items", {})
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties") or {}
    return sorted(_resolve(schema, node).get("properties", {}))


def _resolve(schema: Any, node: Any) -> Any:
    """Follow `$ref`, also the one in an `anyOf`, of JSON Schema."""
    choices = [node, *node.get("anyOf", ()), *node.get("allOf", ())]
    reference = next((choice["$ref"] for choice in choices if "$ref" in choice), "")
    return schema["$defs"][reference.rpartition("/")[2]] if reference else node


def _parts(dotted: str) -> list[str | int]:
    return ["".join(groups) for groups in _PART.findall(dotted)]


def _table_path(parts: list[str | int], is_array: bool, counts: dict[tuple[str | int, ...], int]) -> list[str | int]:
    """The location of a table; `[[name]]` counts its elements."""
    if not is_array:
        return parts
    counts[tuple(parts)] = counts.get(tuple(parts), -1) + 1
    return [*parts, counts[tuple(parts)]]


def _common(path: Sequence[str | int], location: Sequence[str | int]) -> int:
    """How many leading parts are equal."""
    count = 0
    for mine, other in zip(path, location, strict=False):
        if mine != other:
            break
        count += 1
    return count


def account_table(name: str, account: Account) -> str:
    """The TOML tables of one account; only what differs from the defaults."""
    values = account.model_dump(mode="json", exclude_defaults=True)
    return _table_text(["accounts", name], values)


def model_table(model: ModelSettings) -> str:
    """The TOML tables of the model; only what differs from the defaults."""
    return _table_text(["model"], model.model_dump(mode="json", exclude_defaults=True))


def add_account(path: Path, name: str, account: Account) -> None:
    """Append an account to the file at `path` (made with mode 0600 when missing); the rest stays as it is.

    The new text is checked before it replaces the old one, which is replaced at once or not at all.
    Raises ConfigError when the account exists already or the result would not be valid.
    """
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    if old and name in parse(old, str(path)).accounts:
        raise ConfigError(
            f"{path} has an account {name!r} already", cure="Choose another with --name, or edit the file."
        )
    text = f"{old.rstrip()}\n\n{account_table(name, account)}".lstrip()
    parse(text, str(path))
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_private(path, text)


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` (mode 0600), whole or not at all. Raises ConfigError."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", cure="Nothing was changed.") from error


def _table_text(path: list[str], values: dict[str, Any]) -> str:
    """`values` as TOML below the table `path`: plain keys first, then the tables."""
    lines = [f"[{'.'.join(_key_text(part) for part in path)}]"]
    lines += [f"{_key_text(key)} = {_value_text(value)}" for key, value in values.items() if not _is_table(value)]
    for key, value in values.items():
        if isinstance(value, dict):
            lines += ["", _table_text([*path, key], value).rstrip()]
        elif _is_table(value):
            name = ".".join(_key_text(part) for part in [*path, key])
            for element in value:
                lines += ["", f"[[{name}]]", *(f"{_key_text(k)} = {_value_text(v)}" for k, v in element.items())]
    return "\n".join(lines) + "\n"


def _is_table(value: Any) -> bool:
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))


def _key_text(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value_text(key)


def _value_text(value: Any) -> str:
    """A TOML value: JSON's strings, numbers, booleans and lists are TOML too, but for DEL and lone surrogates."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
