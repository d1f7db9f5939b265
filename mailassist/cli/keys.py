"""Where a new password or key is kept: in the keyring, else where the person says."""

from __future__ import annotations

import getpass
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mailassist.cli.context import config_path
from mailassist.cli.output import say
from mailassist.errors import InputError, MailassistError

if TYPE_CHECKING:
    from pydantic import SecretStr

    from mailassist.config import ModelSettings, SecretSettings


@dataclass(frozen=True, slots=True)
class Kept:
    """Where a secret is now, for the configuration, and the way back to what was there before."""

    settings: SecretSettings
    undo: Callable[[], object]


def ask_secret(question: str, **options: Any) -> str:
    """What a person types or pastes, unseen where there is a terminal; `options` as click.prompt takes them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", getpass.GetPassWarning)  # no terminal: whoever piped the answers knows
        typed: str = click.prompt(question, hide_input=True, **options)
    return typed.replace("\u00a0", " ")  # web pages show app passwords with such spaces; RFC 4013 has no others


def keep(name: str, secret: SecretStr, *, variable: str = "MAILASSIST_PASSWORD") -> Kept:
    """Keep the secret called `name`; `variable` is proposed where the environment shall have it. Raises SecretError."""
    from mailassist import secrets
    from mailassist.config import SecretSettings

    problem = secrets.keyring_problem()
    if problem:
        return _without_keyring(name, secret, problem, variable)
    before = secrets.in_keyring(name)
    secrets.save_to_keyring(name, secret)
    say("It is in your keyring.")
    if before is None:
        return Kept(SecretSettings(), lambda: secrets.delete_from_keyring(name))
    return Kept(SecretSettings(), lambda: secrets.save_to_keyring(name, before))


def ask_model_key() -> None:
    """Ask for the API key of the configured model, and keep it. Raises InputError, SecretError, ConfigError."""
    from mailassist.cli.context import configured_or_default
    from mailassist.desk.models import key_of

    model = configured_or_default().model
    name = key_of(model)
    if not name:
        raise InputError(f"The model {model.name} needs no key", cure="Name another as model.name first.")
    _keep_model_key(model, name, ask_secret(_question(model)))


def offer_model_key() -> None:
    """Ask for the API key of the configured model where it has none; the person may go on without one."""
    from mailassist import secrets
    from mailassist.cli.context import load_config
    from mailassist.desk.models import key_of
    from mailassist.errors import SecretError
    from mailassist.model.registry import server_kind

    model = load_config().model
    name = key_of(model)
    if not name or not server_kind(model.base_url).needs_key:
        return
    try:
        secrets.find(name, model.key)
    except SecretError as error:
        say(f"\n{error.message}. Without one, drafts are outlines.")
    else:
        return
    try:
        key = ask_secret(f"{_question(model)} (Enter: later)", default="", show_default=False)
    except click.Abort:
        key = ""
    if key:
        _keep_model_key(model, name, key)
    else:
        say("`mailassist config key` asks for it again.")


def _question(model: ModelSettings) -> str:
    from mailassist.model.connection import Endpoint

    return f"API key of {Endpoint(base_url=model.base_url).host}, for the model {model.name}"


def _keep_model_key(model: ModelSettings, name: str, key: str) -> None:
    from pydantic import SecretStr

    from mailassist import config_file

    kept = keep(name, SecretStr(key.strip()), variable="OPENAI_API_KEY")
    if kept.settings == model.key:
        return
    try:
        config_file.put_model_key(config_path(), kept.settings)
    except MailassistError:
        kept.undo()
        raise


def _without_keyring(name: str, secret: SecretStr, problem: str, variable: str) -> Kept:
    """Ask where the secret shall be kept instead, until that place gives it."""
    say(f"The keyring cannot be used: {problem}. Where shall it come from?")
    while True:
        kept = _kept_elsewhere(name, secret, variable)
        if kept is not None:
            return kept


def _kept_elsewhere(name: str, secret: SecretStr, variable: str) -> Kept | None:
    """The place that the person chooses; None where a command does not print the secret."""
    from mailassist.config import SecretSettings

    say("  1  a command that prints it (pass, op, secret-tool ...)")
    say("  2  a file that only you can read")
    say("  3  an environment variable")
    choice = click.prompt("Choice", type=click.Choice(["1", "2", "3"]), default="2")
    if choice == "1":
        settings = SecretSettings(keyring=False, password_command=click.prompt("Command"))
        return Kept(settings, lambda: None) if _gives(name, settings, secret) else None
    if choice == "3":
        variable = click.prompt("Name of the variable", default=variable)
        say(f"Set ${variable} before you start mailassist. Every process of yours can read it; a file is safer.")
        return Kept(SecretSettings(keyring=False, password_env=variable), lambda: None)
    file = config_path().absolute().parent / f"{name}.secret"
    undo = _write(file, secret.get_secret_value() + "\n")
    say(f"It is in {file} (mode 0600).")
    return Kept(SecretSettings(keyring=False, password_file=file), undo)


def _gives(name: str, settings: SecretSettings, secret: SecretStr) -> bool:
    """Whether `secret` is what is found with `settings`; says why not."""
    from mailassist import secrets
    from mailassist.errors import SecretError

    try:
        found = secrets.find(name, settings, environment={})
    except SecretError as error:
        say(f"{error}")
        return False
    if found.secret != secret:
        say("It prints something else than what you typed above.")
    return found.secret == secret


def _write(file: Path, text: str) -> Callable[[], object]:
    """Write a file that only its owner can read; what puts back what it held. Raises ConfigError."""
    from mailassist import config_file

    before = file.read_text(encoding="utf-8") if file.exists() else None
    config_file.write_private(file, text)
    if before is None:
        return lambda: file.unlink(missing_ok=True)
    return lambda: config_file.write_private(file, before)
