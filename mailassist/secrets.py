"""Where passwords, tokens and keys come from. First found wins:

1. a file in `$CREDENTIALS_DIRECTORY` (systemd's LoadCredential=), called `mailassist.NAME`,
2. the keyring of the desktop or operating system, service `mailassist`, user NAME,
3. a command (`password_command`, `token_command`): the first line that it prints,
4. a file that the configuration names on purpose; only its owner may be able to read it (0600),
5. an environment variable, with a warning: every process of the user can read it.

NAME is the account's key in the configuration (`work`), `work.smtp` for its SMTP server, `model` for the API key,
`team` for the team's database, or `audit` for the key of its audit trail.
"""

from __future__ import annotations

import configparser
import os
import shlex
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from mailassist.config import AUDIT_SECRET, MODEL_KEY, TEAM_SECRET, SecretSettings
from mailassist.errors import SecretError

SERVICE = "mailassist"
COMMAND_TIMEOUT = 30.0  # seconds; long enough for a person to unlock a password store


@dataclass(frozen=True, slots=True)
class Found:
    """A secret and, for people, where it was found."""

    secret: SecretStr
    origin: str
    warning: str = ""


def find(name: str, settings: SecretSettings, *, environment: Mapping[str, str] = os.environ) -> Found:
    """The secret called `name`, from the first place that has it.

    Raises SecretError: naming every place that was tried, or, where a place that was named on purpose fails (a command,
    a file), what is wrong with it.
    """
    tried: list[str] = []
    found = _first(name, settings, environment, tried)
    if found is not None:
        return found
    is_key = name.partition("@")[0] == MODEL_KEY
    table = "model.key" if is_key else f"accounts.{name}.secret"
    how = "Run `mailassist config key`" if is_key else "Run `mailassist setup ADDRESS` again"
    if settings.password_env:
        how = f"Set ${settings.password_env}"
    if name in (TEAM_SECRET, AUDIT_SECRET):
        raise SecretError(
            f"No secret called {name!r} was found (looked in: {', '.join(tried)})",
            cure=f"Give it to the service with LoadCredential={SERVICE}.{name}:PATH, see docs/DAEMON.md.",
        )
    raise SecretError(
        f"No password or key for {name!r} was found (looked in: {', '.join(tried)})",
        cure=f"{how}, or see [{table}] in `mailassist config example`.",
    )


def look_up(name: str, settings: SecretSettings, *, environment: Mapping[str, str] = os.environ) -> Found | None:
    """As `find`, with None where no place has it; a place that was named on purpose and fails is a SecretError."""
    return _first(name, settings, environment, [])


def _first(name: str, settings: SecretSettings, environment: Mapping[str, str], tried: list[str]) -> Found | None:
    for place in (_credentials_directory, _keyring, _command, _file, _environment):
        found = place(name, settings, environment, tried)
        if found is not None:
            return found
    return None


def save_to_keyring(name: str, secret: SecretStr) -> None:
    """Keep `secret` in the keyring. Raises SecretError where there is no usable keyring."""
    import keyring
    from keyring.errors import KeyringError

    unusable = keyring_problem()
    if unusable:
        raise SecretError(f"There is no usable keyring: {unusable}", cure="Use a command or a 0600 file instead.")
    try:
        keyring.set_password(SERVICE, name, secret.get_secret_value())
    except KeyringError as error:
        raise SecretError(
            f"The keyring refused to keep the secret: {error}", cure="Unlock it and try again."
        ) from error


def in_keyring(name: str) -> SecretStr | None:
    """What the keyring has under `name`. Raises SecretError."""
    import keyring
    from keyring.errors import KeyringError

    try:
        value = keyring.get_password(SERVICE, name)
    except KeyringError as error:
        raise SecretError(f"The keyring cannot be read: {error}", cure="Unlock it and try again.") from error
    return SecretStr(value) if value else None


def delete_from_keyring(name: str) -> bool:
    """Remove the secret called `name`; False where the keyring had none. Raises SecretError."""
    import keyring
    from keyring.errors import KeyringError, PasswordDeleteError

    try:
        keyring.delete_password(SERVICE, name)
    except PasswordDeleteError:
        return False
    except KeyringError as error:
        raise SecretError(f"The keyring did not remove {name!r}: {error}", cure="Unlock it and try again.") from error
    return True


def keyring_problem() -> str:
    """Why the keyring cannot be used on this machine; "" when it can.

    A backend that writes plain text (keyrings.alt) counts as none: it would be a file without the user's decision.
    """
    import keyring
    from keyring.backends import chainer, fail, null

    try:
        backend = keyring.get_keyring()
    except RuntimeError as error:
        return str(error)
    except (ImportError, AttributeError, ValueError, configparser.Error) as error:
        # PYTHON_KEYRING_BACKEND or keyringrc.cfg names a backend that is not installed in this environment.
        return f"the one that is configured for Python cannot be loaded ({error})"
    backends = list(backend.backends) if isinstance(backend, chainer.ChainerBackend) else [backend]
    usable = [one for one in backends if not isinstance(one, fail.Keyring | null.Keyring)]
    if not usable:
        return "no keyring service is running here"
    if any("plaintext" in type(one).__name__.lower() for one in usable):
        return "the configured keyring stores plain text"
    return ""


def _credentials_directory(
    name: str, _settings: SecretSettings, environment: Mapping[str, str], tried: list[str]
) -> Found | None:
    folder = environment.get("CREDENTIALS_DIRECTORY")
    if not folder:
        return None
    path = Path(folder) / f"{SERVICE}.{name}"
    tried.append(str(path))
    try:
        return Found(_first_line(path.read_text(encoding="utf-8"), str(path)), str(path))
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error, "Check what LoadCredential= of the unit names.") from error


def _keyring(name: str, settings: SecretSettings, _environment: Mapping[str, str], tried: list[str]) -> Found | None:
    if not settings.keyring:
        return None
    import keyring
    from keyring.errors import KeyringError

    problem = keyring_problem()
    if problem:
        tried.append(f"the keyring ({problem})")
        return None
    try:
        value = keyring.get_password(SERVICE, name)
    except KeyringError as error:
        # A locked keyring is no reason to ignore a command that the person also named; the final error tells.
        tried.append(f"the keyring ({error})")
        return None
    tried.append("the keyring")
    return Found(SecretStr(value), "the keyring") if value else None


def _command(name: str, settings: SecretSettings, _environment: Mapping[str, str], tried: list[str]) -> Found | None:
    command = settings.token_command or settings.password_command
    if not command:
        return None
    key = "token_command" if settings.token_command else "password_command"
    tried.append(key)
    try:
        words: str | list[str] = command if sys.platform == "win32" else shlex.split(command)
        # Without standard input: it would take the keys that are meant for the UI, or the message of `draft -`.
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False
        )
    except (OSError, ValueError) as error:
        raise SecretError(
            f"{key} of {name!r} could not be run: {error}", cure="Write it as in a shell: program, arguments, quotes."
        ) from error
    except subprocess.TimeoutExpired:
        raise SecretError(
            f"{key} of {name!r} did not answer within {COMMAND_TIMEOUT:.0f} s", cure="Does it wait for input?"
        ) from None
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:200]
        raise SecretError(
            f"{key} of {name!r} failed with exit code {done.returncode}: {last}",
            cure="Run it in a terminal, and see what it asks for.",
        )
    return Found(_first_line(done.stdout, key), key)


def _file(_name: str, settings: SecretSettings, _environment: Mapping[str, str], tried: list[str]) -> Found | None:
    if settings.password_file is None:
        return None
    path = settings.password_file.expanduser()
    tried.append(str(path))
    try:
        mode = path.stat().st_mode
        if os.name == "posix" and stat.S_IMODE(mode) & 0o077:
            raise SecretError(f"{path} can be read by others", cure=f"Run: chmod 600 {shlex.quote(str(path))}")
        return Found(_first_line(path.read_text(encoding="utf-8"), str(path)), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error, "Write the secret there, or change password_file.") from error


def _unreadable(path: Path, error: OSError | UnicodeDecodeError, cure: str) -> SecretError:
    why = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
    return SecretError(f"{path} cannot be read: {why}", cure=cure)


def _environment(name: str, settings: SecretSettings, environment: Mapping[str, str], tried: list[str]) -> Found | None:
    # $OPENAI_API_KEY is where every OpenAI tool looks; people have it already. For OpenAI's own server only.
    variables = [settings.password_env] if settings.password_env else ["OPENAI_API_KEY"] if name == MODEL_KEY else []
    for variable in variables:
        tried.append(f"${variable}")
        if environment.get(variable):
            warning = f"${variable} is readable by every process of yours; better keep the secret in the keyring"
            return Found(SecretStr(environment[variable]), f"${variable}", warning)
    return None


def _first_line(text: str, origin: str) -> SecretStr:
    """The first line of `text` without its line end. Raises SecretError when it is empty."""
    lines: Iterator[str] = iter(text.splitlines())
    line = next(lines, "")
    if not line:
        raise SecretError(
            f"{origin} gave an empty password or token", cure="The first line must be the secret; nothing else is read."
        )
    return SecretStr(line)


class Keeper:
    """Secrets of one run: looked up once, tokens of a command anew each time; warnings given once."""

    def __init__(self, warn: Callable[[str], None], found: Callable[[SecretStr], object] = lambda secret: None) -> None:
        """`warn`: takes one line for the person; `found`: each secret that was looked up (the log keeps it out)."""
        self._warn = warn
        self._found = found
        self._known: dict[str, SecretStr] = {}

    def get(self, name: str, settings: SecretSettings) -> SecretStr:
        """The secret called `name`. Raises SecretError."""
        if name in self._known:
            return self._known[name]
        found = find(name, settings)
        self._found(found.secret)
        if found.warning:
            self._warn(found.warning)
        if not settings.token_command:
            self._known[name] = found.secret
        return found.secret

    def forget(self, name: str) -> None:
        """Look `name` up again next time: the server refused what we had."""
        self._known.pop(name, None)
