"""The configuration: one TOML file, validated by pydantic.

Secrets never stand in it; `mailassist.secrets` finds them; `mailassist.config_file` reads the file.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

import platformdirs
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from mailassist.errors import ConfigError
from mailassist.team_settings import DaemonSettings, TeamMailbox, TeamSettings

Security = Literal["tls", "starttls", "none"]
MODEL_KEY = "model"  # what the key of OpenAI's server is called among the secrets; accounts stand beside it
STORE_FILE = "mailassist.sqlite"  # in the data folder
TEAM_SECRET, AUDIT_SECRET = "team", "audit"  # the database's password, the key of the audit trail
_OTHER_SECRETS = {MODEL_KEY, TEAM_SECRET, AUDIT_SECRET}
Length = Literal["auto", "short", "long"]
LoginMethod = Literal["password", "xoauth2", "oauthbearer"]


def _checked_host(text: str) -> str:
    """`text` where it can be the name or number of a host, and is no URL. Raises ValueError."""
    labels = text.removesuffix(".").split(".")
    if not re.fullmatch(r"[^\s/@:]+|[0-9A-Fa-f:.]+(%\w+)?", text) or not all(0 < len(label) < 64 for label in labels):
        raise ValueError(f"expected a host name such as imap.example.org, found {text!r}")
    return text


def _checked_address(text: str) -> str:
    """`text` where it can be a bare mail address. Raises ValueError."""
    if not re.fullmatch(r"[^\s<>]+@[^\s<>]+", text):
        raise ValueError(f"expected an address such as you@example.org, found {text!r}")
    return text


Host = Annotated[str, AfterValidator(_checked_host)]
Address = Annotated[str, AfterValidator(_checked_address)]
# Limits that no one needs to pass, within what calendars and clocks can count.
Days = Annotated[int, Field(ge=1, le=36_500)]
Seconds = Annotated[float, Field(gt=0, le=86_400)]
Price = Annotated[float, Field(ge=0, allow_inf_nan=False)]  # US dollars per million tokens


class _Section(BaseModel):
    """A table of the file: unknown keys are refused, values are not changed afterwards."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerSettings(_Section):
    """How to reach one IMAP or SMTP server, and as whom."""

    host: Host
    port: Annotated[int, Field(ge=1, le=65535)]
    security: Security = "tls"
    login: str = ""  # who logs in; empty: the account's address
    mailbox: str = ""  # whose mailbox it is, where that differs (shared mailboxes)
    method: LoginMethod = "password"
    cafile: Path | None = None  # certificates to trust instead of the system's
    client_certificate: Path | None = None
    client_key: Path | None = None
    proxy: str = ""  # socks5://host:port or http://host:port; empty: HTTPS_PROXY/ALL_PROXY of the environment; "none"
    ip: Literal["any", "4", "6"] = "any"
    connect_timeout: Seconds = 15.0  # seconds
    read_timeout: Seconds = 60.0  # seconds

    @model_validator(mode="after")
    def _clear_text_stays_at_home(self) -> ServerSettings:
        if self.security == "none" and self.host not in ("127.0.0.1", "::1", "localhost"):
            raise ValueError('security = "none" is for this machine only; use "tls" or "starttls"')
        return self


class FolderSettings(_Section):
    """Folder names, only where finding them by SPECIAL-USE or name goes wrong."""

    inbox: Annotated[list[str], Field(min_length=1)] = ["INBOX"]  # folders whose mail is answered
    sent: str = ""
    drafts: str = ""
    archive: str = ""
    trash: str = ""
    also: list[str] = []  # further folders that hold parts of conversations
    skip: list[str] = []

    @field_validator("inbox", "also", "skip")
    @classmethod
    def _inbox_in_any_case(cls, names: list[str]) -> list[str]:
        """INBOX is the one name whose case means nothing (RFC 9051, 5.1)."""
        return ["INBOX" if name.upper() == "INBOX" else name for name in names]


class Identity(_Section):
    """One of the user's own faces: who a reply is from."""

    name: str = ""
    address: str
    aliases: list[str] = []  # other addresses that are this person; `*@example.org` for a whole domain
    signature: str = ""
    html_signature: str = ""
    languages: list[str] = []  # BCP 47 codes the user writes, the preferred first; empty: the correspondent's
    length: Length = "auto"  # of a draft; "auto": what was asked decides


class SecretSettings(_Section):
    """Where this account's password or token comes from (see `mailassist.secrets` for the order)."""

    password_command: str = ""
    token_command: str = ""
    password_file: Path | None = None
    password_env: str = ""
    keyring: bool = True


class DeliverySettings(_Section):
    """What happens to an approved reply."""

    mode: Literal["send", "drafts"] = "send"
    sent_copy: Literal["auto", "server", "append"] = "auto"
    quote: Literal["none", "below", "inline"] = "below"
    html: bool = False
    undo_seconds: Annotated[float, Field(ge=0, le=3600)] = 10.0


class WaitingSettings(_Section):
    """Which conversations wait for an answer."""

    max_age_days: Days = 30
    personal: list[str] = []  # sender addresses or domains whose automatic-looking mail comes from a person (web forms)


class SyncSettings(_Section):
    """What is remembered of the mailbox."""

    days: Days = 730
    keep_text: Literal["all", "needed", "none"] = "needed"
    retention_days: Days = 365
    learn_from_sent: bool = False


class Account(_Section):
    """One mailbox, from a server or from a folder on disk."""

    address: Address
    imap: ServerSettings | None = None
    smtp: ServerSettings | None = None
    maildir: Path | None = None  # a Maildir (or a folder of Maildirs) kept by mbsync or offlineimap
    mbox: Path | None = None
    folders: FolderSettings = FolderSettings()
    identities: list[Identity] = []
    secret: SecretSettings = SecretSettings()
    smtp_secret: SecretSettings | None = None  # only where SMTP needs another password
    delivery: DeliverySettings = DeliverySettings()
    waiting: WaitingSettings = WaitingSettings()
    sync: SyncSettings = SyncSettings()
    team: TeamMailbox | None = None  # the policy of a team mailbox, for which the daemon drafts

    @model_validator(mode="after")
    def _one_source(self) -> Account:
        if sum(source is not None for source in (self.imap, self.maildir, self.mbox)) != 1:
            raise ValueError("an account has exactly one of: [imap], maildir = PATH, mbox = PATH")
        return self

    @field_validator("identities")
    @classmethod
    def _addresses_of_people(cls, identities: list[Identity]) -> list[Identity]:
        for identity in identities:
            for address in (identity.address, *identity.aliases):
                _checked_address(address)
        return identities

    @property
    def faces(self) -> list[Identity]:
        """The identities, or one made of the address where none is configured."""
        return self.identities or [Identity(address=self.address)]


class ModelSettings(_Section):
    """Which model writes, where it is, and what it may cost."""

    # a registry name, "local", a path to a GGUF file, or "outline" (no model)
    name: Annotated[str, Field(min_length=1)] = "gpt-4o-mini"
    base_url: str = ""  # empty: the registry's
    api: Literal["auto", "responses", "chat"] = "auto"
    key: SecretSettings = SecretSettings()
    api_version: str = ""  # Azure
    timeout: Seconds = 60.0  # without a byte
    retries: Annotated[int, Field(ge=0, le=10)] = 3
    context_tokens: Annotated[int, Field(ge=200)] | None = None  # None: the registry's default budget
    output_tokens: Annotated[int, Field(ge=16)] | None = None  # None: the registry's
    daily_budget: Annotated[float, Field(ge=0)] | None = 1.0  # US dollars a day; None: no limit
    documents: bool = True  # the text of attachments goes to the model with the mail
    pictures: bool = True  # and attached pictures, where the model takes them and the budget allows
    input_price: Price | None = None  # for models the registry does not know
    cached_price: Price | None = None
    output_price: Price | None = None


class Config(_Section):
    """The whole file."""

    accounts: dict[str, Account] = {}
    default_account: str = ""
    data_folder: Path | None = None  # where the store lies; None: the platform's data folder
    model: ModelSettings = ModelSettings()
    daemon: DaemonSettings = DaemonSettings()
    team: TeamSettings = TeamSettings()

    @field_validator("accounts")
    @classmethod
    def _names_of_other_secrets(cls, accounts: dict[str, Account]) -> dict[str, Account]:
        for taken in _OTHER_SECRETS & accounts.keys():
            raise ValueError(f"an account cannot be called {taken!r}: another secret has that name in the keyring")
        for name in accounts:
            if name.removesuffix(".smtp") in accounts.keys() - {name}:
                raise ValueError(f"an account cannot be called {name!r}: its secret would be that of another's SMTP")
        return accounts

    @field_validator("default_account")
    @classmethod
    def _default_exists(cls, name: str, info: ValidationInfo) -> str:
        if name and name not in info.data.get("accounts", [name]):
            names = ", ".join(info.data["accounts"]) or "none"
            raise ValueError(f"there is no account {name!r}; the accounts are: {names}")
        return name

    def account(self, name: str = "") -> tuple[str, Account]:
        """The account called `name` (or with that address), else the default, else the only one.

        Raises ConfigError when there is none or the choice is open.
        """
        wanted = name or self.default_account
        if wanted in self.accounts:
            return wanted, self.accounts[wanted]
        for key, account in self.accounts.items():
            if wanted and account.address.casefold() == wanted.casefold():
                return key, account
        if not wanted and len(self.accounts) == 1:
            return next(iter(self.accounts.items()))
        if not self.accounts:
            raise ConfigError("No account is configured", cure="Run `mailassist setup you@example.org`.")
        names = ", ".join(self.accounts)
        raise ConfigError(
            f"There is no account {wanted!r}" if wanted else "Several accounts are configured",
            cure=f"Use --account with one of: {names}.",
        )


def default_path() -> Path:
    """Where the configuration lies on this platform."""
    return platformdirs.user_config_path("mailassist", appauthor=False) / "config.toml"


def default_data_folder() -> Path:
    """Where the store lies on this platform, unless the configuration says otherwise."""
    return platformdirs.user_data_path("mailassist", appauthor=False)
