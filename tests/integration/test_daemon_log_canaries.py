"""What the parts of a daemon say while they really fail: no password, address or subject gets into the log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from servers.dovecot import Dovecot

# A refused login, an unreachable server behind a proxy with a password, a missing secret, a webhook and a sendmail that
# fail, a mail that breaks a parser's caller, all through the daemon's own parts, with every library at its loudest.
PROGRAM = r"""
import logging, sys, threading
from pathlib import Path
from pydantic import SecretStr
from mailassist.config import FolderSettings, SecretSettings, ServerSettings
from mailassist.daemon import logs
from mailassist.daemon.people import People
from mailassist.errors import MailassistError
from mailassist.mail.parse import parse_message
from mailassist.secrets import Keeper
from mailassist.store.database import Store
from mailassist.team_settings import Notices, TeamMailbox
from mailassist.transport import imap

port, folder = int(sys.argv[1]), Path(sys.argv[2])
logging.basicConfig(level=logging.DEBUG)
logging.getLogger("imapclient").setLevel(logging.DEBUG)
logs.set_up(key=b"k" * 32, level=logging.DEBUG)
log = logs.logger("test")

keeper = Keeper(lambda line: log.warning("a warning", text=line), logs.keep_out)
(folder / "secret").write_text("password-CANARY\n"); (folder / "secret").chmod(0o600)
found = keeper.get("support", SecretSettings(keyring=False, password_file=folder / "secret"))

def attempt(what, do):
    try:
        do()
    except MailassistError as error:
        log.warning(what, mailbox="support", error=error)
        log.exception(what)
    except Exception:
        log.exception(what)
    else:
        log.info(what + " went through")

def login(**more):
    settings = ServerSettings(**{"host": "127.0.0.1", "port": port, "security": "none", "connect_timeout": 5.0} | more)
    imap.connect(settings, "canary.person@canary.example", lambda: found, FolderSettings()).close()

attempt("login", login)
attempt("proxy", lambda: login(security="tls", proxy="http://me:proxy-CANARY@127.0.0.1:1"))
command = "sh -c 'echo out-CANARY; echo token=err-CANARY >&2; exit 3'"
attempt("secret", lambda: Keeper(print).get("sales", SecretSettings(keyring=False, password_command=command)))
store = Store(folder / "store.sqlite")
hook = "https://127.0.0.1:1/hook/token-CANARY"
ways = Notices(webhook=hook, sendmail="false", to=["canary.person@canary.example"])
people = People(store, {"support": TeamMailbox()}, ways)
people.pause("support", "canary.person@canary.example said so")
attempt("people", people.tell)
mail = parse_message(b"From: canary.person@canary.example\r\nSubject: subject-CANARY\r\n\r\nbody-CANARY\r\n")
attempt("a bug", lambda: {}[mail])
attempt("another bug", lambda: mail.no_such_thing)
attempt("a bug with text", lambda: int(mail.subject))
threading.Thread(target=lambda: int(mail.subject)).start()
"""


def test_nothing_of_it_is_in_the_log(dovecot: Dovecot, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(dovecot.port), str(tmp_path)],
        capture_output=True, text=True, timeout=100, check=False, env={**os.environ, "OPENAI_LOG": "debug"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stderr.splitlines()]
    events = {line["event"] for line in said}
    assert {"login", "proxy", "people went through", "secret", "a bug", "a bug with text", "a thread ends"} <= events
    assert any("refused" in line.get("error", "") for line in said if line["event"] == "login")
    assert {line["channel"] for line in said if line["event"] == "people could not be told"} == {"sendmail", "webhook"}
    everything = done.stderr + done.stdout
    assert "CANARY" not in everything
    assert "canary.person" not in everything
