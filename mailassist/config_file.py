"""Reading the configuration file: where a wrong key or value stands, and the complete example.

TOML's own reader gives no positions once a file has parsed, so `line_of` finds the line of a key again.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mailassist.config import Account, Config, ModelSettings, SecretSettings
from mailassist.errors import ConfigError

_TABLE = re.compile(r"^\s*\[\[?\s*(?P<name>[^\[\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(
    r"""^\s*(?P<key>(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+)(?:\s*\.\s*(?:"[^"]*"|'[^']*'|[A-Za-z0-9_-]+))*)\s*="""
)
_SECRET = re.compile(r"passw|secret|token(?!s)|api_?key", re.IGNORECASE)
_NO_SECRETS = "secrets never stand in this file; name a keyring, command or 0600 file"
# What pydantic says in the words of Python, in those of the file.
_EXPECTED = {
    "dict_type": "a table",
    "model_type": "a table",
    "path_type": "a path",
    "string_too_short": "a text that is not empty",
    "too_short": "a list that is not empty",
}
_PART = re.compile(r"""\s*(?:"([^"]*)"|'([^']*)'|([A-Za-z0-9_-]+))\s*\.?""")


def load(path: Path) -> Config:
    """Read and validate the file at `path`.

    Raises ConfigError, one line: file, line, what was expected, what was found; its `mistakes` are those lines.
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
        raise ConfigError(mistakes=problems(text, name, error)) from error


def problems(text: str, name: str, error: ValidationError) -> list[str]:
    """One line for each mistake: `file:line: key: expected ..., found ...`; no value that may be a secret."""
    return [_problem(text, name, details) for details in error.errors()]


def line_of(text: str, location: Sequence[str | int]) -> int:
    """The line (from 1) of the key at `location`, else of the nearest table or key around it or in it; 0 if nowhere."""
    best, best_line = (0, False), 0
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
        if (depth, depth == len(path)) > best:
            best, best_line = (depth, depth == len(path)), number
    return best_line


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")  # some editors put a byte order mark first
    except FileNotFoundError:
        raise ConfigError(
            f"There is no configuration at {path}",
            cure="Run `mailassist setup you@example.org`, or name a file with --config.",
        ) from None
    except OSError as error:
        cure = "Name a file that you may read with --config."
        raise ConfigError(f"{path} cannot be read: {error.strerror}", cure=cure) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} cannot be read: {error}", cure="Save it as UTF-8.") from error


def _problem(text: str, name: str, details: ErrorDetails) -> str:
    location = [part for part in details["loc"] if part != "function-after"]
    key = ".".join(str(part) for part in location) or "the file"
    return f"{name}:{line_of(text, location)}: {key}: {_wrong(details, location)}"


def _wrong(details: ErrorDetails, location: Sequence[str | int]) -> str:
    """What is wrong with the value at `location`."""
    kind, message = details["type"], details["msg"]
    if kind == "extra_forbidden":
        if _SECRET.search(str(location[-1])):
            return _NO_SECRETS
        return f"unknown key, expected one of: {', '.join(_known_keys(location))}"
    if kind == "missing":
        return "missing, expected a value"
    if kind == "value_error":
        return message.removeprefix("Value error, ")
    expected = _EXPECTED.get(kind) or message.removeprefix("Input should be ")
    if any(_SECRET.search(str(part)) or part == "key" for part in location):
        return f"expected {expected}; {_NO_SECRETS}"
    found = details.get("input")
    return f"expected {expected}" + ("" if isinstance(found, dict | list) else f", found {found!r}")


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


def put_account(path: Path, name: str, account: Account) -> None:
    """Write an account into the file at `path` (made with mode 0600 when missing); see `with_account`."""
    _replace(path, with_account(path, name, account))


def with_account(path: Path, name: str, account: Account) -> str:
    """The text of the file at `path` with this account, in the place of the one of that name where there is one.

    The rest stays word for word. Raises ConfigError where that cannot be done, or where the result would not be valid.
    """
    old, before = _as_it_is(path)
    wanted = before.model_copy(update={"accounts": {**before.accounts, name: account}})
    return _with_tables(path, old, ["accounts", name], account_table(name, account), wanted)


def put_model_key(path: Path, settings: SecretSettings) -> None:
    """Write where the model's key is into the file at `path`. Raises ConfigError."""
    old, before = _as_it_is(path)
    wanted = before.model_copy(update={"model": before.model.model_copy(update={"key": settings})})
    table = _table_text(["model", "key"], settings.model_dump(mode="json", exclude_defaults=True))
    _replace(path, _with_tables(path, old, ["model", "key"], table, wanted))


def _as_it_is(path: Path) -> tuple[str, Config]:
    old = _read(path) if path.exists() else ""
    return old, parse(old, str(path))


def _with_tables(path: Path, old: str, table: list[str], text: str, wanted: Config) -> str:
    """`old` with `text` in the place of the table and those below it, at the end where there is none.

    What comes out is read again: only a text that says `wanted` is right, however the old one was written.
    """
    before, after = _around(old, table)
    new = f"{before}{text}\n{after.lstrip()}".strip() + "\n"
    try:
        if parse(new, str(path)) == wanted:
            return new
    except ConfigError:
        pass
    name = ".".join(_key_text(part) for part in table)
    raise ConfigError(f"{path}: [{name}] cannot be told apart from the rest", cure=f"Remove {name} from it first.")


def _around(text: str, table: list[str]) -> tuple[str, str]:
    """What stands before and after a table with those below it; comments in front of the next table belong to that."""
    kept: list[str] = []
    comments: list[str] = []
    cutting, place = False, -1
    for line in text.splitlines(keepends=True):
        header = _TABLE.match(line)
        if header:
            cutting = _parts(header["name"])[: len(table)] == table
            place = len(kept) if cutting and place < 0 else place
            kept += [] if cutting else comments
            comments = []
        if not cutting:
            kept.append(line)
        elif header or (line.strip() and not line.lstrip().startswith("#")):
            comments = []
        else:
            comments.append(line)
    kept += comments
    if place < 0:
        return "".join(kept).rstrip() + "\n\n", ""
    return "".join(kept[:place]), "".join(kept[place:])


def _replace(path: Path, text: str) -> None:
    """Put `text` into the file; one that is a link to somewhere else stays one."""
    write_private(path.resolve(), text)


def write_private(path: Path, text: str) -> None:
    """Write `text` to `path` (mode 0600, its folder made when missing), whole or not at all. Raises ConfigError."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary.unlink(missing_ok=True)
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
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
