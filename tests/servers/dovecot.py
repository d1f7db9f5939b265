"""A Dovecot of the tests' own: loopback ports, an ordinary user, any user name with the password `secret`.

Started by root, it runs as `nobody`. Dovecot 2.3 and 2.4 have different configuration languages; both are here.
"""

from __future__ import annotations

import grp
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PASSWORD = "secret"
_FOLDERS = {"Drafts": "\\Drafts", "Sent": "\\Sent", "Archive": "\\Archive", "Trash": "\\Trash", "Junk": "\\Junk"}


class CannotStart(Exception):
    """There is no Dovecot here that these tests can use; the text says why and what to do."""


@dataclass
class Mailbox:
    """One user's mailbox: the Maildir on disk, for quick deliveries."""

    name: str
    folder: Path
    owner: tuple[int, int]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def deliver(self, raw: bytes, folder: str = "INBOX", *, flags: str = "", received: float | None = None) -> None:
        """Put a message into `folder`; `flags`: Maildir letters such as "S", "RS"; `received`: INTERNALDATE."""
        moment = time.time() if received is None else received
        target = self._maildir(folder)
        # Dovecot numbers new files by name, so that the order of deliveries is the order of UIDs.
        path = target / "cur" / f"{int(moment)}.M{next(self._numbers):08d}.tests,S={len(raw)},W={len(raw)}:2,{flags}"
        path.write_bytes(raw)
        os.utime(path, (moment, moment))
        self._give(path)

    def _maildir(self, folder: str) -> Path:
        target = self.folder if folder == "INBOX" else self.folder / f".{folder.replace('/', '.')}"
        if not (target / "cur").is_dir():
            for part in (target, target / "cur", target / "new", target / "tmp"):
                part.mkdir(parents=True, exist_ok=True)
                self._give(part)
        return target

    def _give(self, path: Path) -> None:
        if os.geteuid() == 0:
            os.chown(path, *self.owner)


@dataclass
class Dovecot:
    """A running server."""

    host: str
    port: int  # plain, with STARTTLS where there is a certificate
    tls_port: int
    cafile: Path | None
    root: Path
    owner: tuple[int, int]
    password: str = PASSWORD
    program: str = ""
    process: subprocess.Popen[bytes] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def start(self) -> None:
        """Start it, and wait until it answers. Raises CannotStart."""
        self.process = _start(self.program, self.root / "dovecot.conf", self.owner)
        _wait_until_up(self, self.process)

    def stop(self) -> None:
        """Stop it; every connection is cut."""
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(20)
            self.process = None

    def user(self, name: str = "user") -> Mailbox:
        """A fresh mailbox; log in as its `name` with PASSWORD."""
        unique = f"{name}{next(self._numbers)}"
        folder = self.root / "mail" / unique / "Maildir"
        folder.parent.mkdir(parents=True)
        mailbox = Mailbox(unique, folder, self.owner)
        mailbox._give(folder.parent)
        mailbox._maildir("INBOX")
        return mailbox


@contextmanager
def running(root: Path | None = None) -> Iterator[Dovecot]:
    """Start Dovecot in `root` (which stays; else a temporary folder), stop it at the end. Raises CannotStart."""
    program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if program is None:
        raise CannotStart("Dovecot is not installed: apt-get install dovecot-imapd")
    folder = root or Path(tempfile.mkdtemp(prefix="dovecot-", dir="/tmp"))  # short: socket paths have 108 bytes
    account = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
    owner = (account.pw_uid, account.pw_gid)
    server = Dovecot("127.0.0.1", _free_port(), _free_port(), None, folder, owner)
    _prepare(server)
    server.cafile = make_certificates(folder / "tls", owner)
    config = folder / "dovecot.conf"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    config.write_text(_config(server, account.pw_name, grp.getgrgid(account.pw_gid).gr_name, version))
    server.program = program
    try:
        server.start()
        yield server
    finally:
        server.stop()
        if root is None:
            shutil.rmtree(folder, ignore_errors=True)


def _prepare(server: Dovecot) -> None:
    server.root.mkdir(parents=True, exist_ok=True)
    for path in (server.root, server.root / "mail", server.root / "state"):
        path.mkdir(exist_ok=True)
        path.chmod(0o755)
        if os.geteuid() == 0:
            os.chown(path, *server.owner)


def _start(program: str, config: Path, owner: tuple[int, int]) -> subprocess.Popen[bytes]:
    command = [program, "-F", "-c", str(config)]
    output = config.with_name("output").open("wb")
    if os.geteuid() == 0:
        return subprocess.Popen(command, user=owner[0], group=owner[1], extra_groups=[], stdout=output, stderr=output)
    return subprocess.Popen(command, stdout=output, stderr=output)


def _wait_until_up(server: Dovecot, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with socket.create_connection((server.host, server.port), 1) as connection:
                if connection.recv(10).startswith(b"* OK"):
                    return
        except OSError:
            time.sleep(0.05)
    logs = "".join(path.read_text() for path in (server.root / "output", server.root / "log") if path.exists())
    raise CannotStart(f"Dovecot did not start: {logs[-800:]}")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def make_certificates(folder: Path, owner: tuple[int, int] | None = None) -> Path | None:
    """A CA of our own, certificates `good` (127.0.0.1, localhost) and `wrong` (another host); the CA's file, if any."""
    openssl = shutil.which("openssl")
    if openssl is None:
        return None
    if (folder / "ca.pem").exists():
        return folder / "ca.pem"
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    ca = ["-CA", "ca.pem", "-CAkey", "ca.key"]
    try:
        _certificate(openssl, folder, "ca", "/CN=Tests CA", ["-addext", "basicConstraints=critical,CA:TRUE"])
        _certificate(openssl, folder, "good", "/CN=good", [*ca, "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
        _certificate(openssl, folder, "wrong", "/CN=wrong", [*ca, "-addext", "subjectAltName=DNS:elsewhere.example"])
    except subprocess.CalledProcessError:
        return None  # before OpenSSL 3, `req` could not sign with a CA
    for path in folder.iterdir():
        path.chmod(0o644)
        if owner and os.geteuid() == 0:
            os.chown(path, *owner)
    return folder / "ca.pem"


def _certificate(openssl: str, folder: Path, name: str, subject: str, more: Sequence[str]) -> None:
    command = [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    command += ["-subj", subject, "-keyout", f"{name}.key", "-out", f"{name}.pem", *more]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def _config(server: Dovecot, user: str, group: str, version: str) -> str:
    numbers = re.match(r"(\d+)\.(\d+)", version)
    new = numbers is not None and (int(numbers[1]), int(numbers[2])) >= (2, 4)
    text = (
        (_NEW_TOP if new else _OLD_TOP)
        + _COMMON
        + "".join(
            f"  mailbox {name} {{\n    special_use = {use}\n    auto = create\n  }}\n" for name, use in _FOLDERS.items()
        )
    )
    values = {"DIR": str(server.root), "PORT": str(server.port), "TLS_PORT": str(server.tls_port), "USER": user,
              "GROUP": group, "TLS": "yes" if server.cafile else "no", "VERSION": version.split()[0]}  # fmt: skip
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text + "}\n"


_OLD_TOP = """
protocols = imap
ssl = @TLS@
ssl_cert = <@DIR@/tls/good.pem
ssl_key = <@DIR@/tls/good.key
disable_plaintext_auth = no
mail_location = maildir:@DIR@/mail/%n/Maildir
passdb {
  driver = static
  args = password=secret
}
userdb {
  driver = static
  args = uid=@USER@ gid=@GROUP@ home=@DIR@/mail/%n
}
"""
_NEW_TOP = """
dovecot_config_version = @VERSION@
dovecot_storage_version = @VERSION@
protocols {
  imap = yes
}
ssl = @TLS@
ssl_server_cert_file = @DIR@/tls/good.pem
ssl_server_key_file = @DIR@/tls/good.key
auth_allow_cleartext = yes
mail_driver = maildir
mail_path = @DIR@/mail/%{user | username}/Maildir
passdb static {
  password = secret
}
userdb static {
  fields {
    uid = @USER@
    gid = @GROUP@
    home = @DIR@/mail/%{user | username}
  }
}
"""
_COMMON = """
base_dir = @DIR@/run
state_dir = @DIR@/state
log_path = @DIR@/log
listen = 127.0.0.1
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = @USER@
default_internal_group = @GROUP@
default_login_user = @USER@
default_client_limit = 4000
mail_max_userip_connections = 2000
auth_failure_delay = 0
service imap-login {
  chroot =
  inet_listener imap {
    port = @PORT@
  }
  inet_listener imaps {
    port = @TLS_PORT@
    ssl = yes
  }
  service_count = 0
  client_limit = 2000
}
service anvil {
  chroot =
}
service stats {
  chroot =
}
service imap {
  process_limit = 2000
}
namespace inbox {
  inbox = yes
"""
