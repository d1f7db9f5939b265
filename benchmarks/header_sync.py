"""Header sync into the store against a bare imapclient that fetches the same fields and keeps nothing."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from imapclient import IMAPClient
from pydantic import SecretStr

from benchmarks.mailbox import OWNER, served
from benchmarks.measuring import best, interleaved, median, report
from mailassist.config import Account, ServerSettings, SyncSettings
from mailassist.intake.sync import sync
from mailassist.mail.addresses import OwnAddresses
from mailassist.store.database import Store
from mailassist.transport.imap import connect
from mailassist.transport.source import HEADER_FIELDS
from tests.servers import dovecot

FOLDERS = ("INBOX", "Sent", "Archive")
FIELDS = ("FLAGS", "INTERNALDATE", "RFC822.SIZE", f"BODY.PEEK[HEADER.FIELDS ({' '.join(HEADER_FIELDS)})]")


def run(arguments: list[str]) -> None:
    """`arguments`: how many messages (20,000), how many rounds (5)."""
    count = int(arguments[0]) if arguments else 20_000
    rounds = int(arguments[1]) if len(arguments) > 1 else 5
    with served(count, now=time.time()) as (server, user):
        bare(server, user)  # Dovecot writes its index files
        seconds = interleaved(rounds, ours=lambda: ours(server, user), bare=lambda: bare(server, user))
    figures = {
        "messages": count,
        "ours_messages_per_second": count / median(seconds["ours"]),
        "imapclient_messages_per_second": count / median(seconds["bare"]),
        "ratio": median(seconds["bare"]) / median(seconds["ours"]),
        "ratio_of_the_best": best(seconds["bare"]) / best(seconds["ours"]),
        "wanted_ratio": 0.9,
    }
    report("header_sync", figures, "imapclient", "sqlalchemy")


def ours(server: dovecot.Dovecot, user: str) -> int:
    """Log in, sync everything into a new store on disk, log out."""
    settings = ServerSettings(host=server.host, port=server.port, security="none", login=user)
    account = Account(address=OWNER, imap=settings, sync=SyncSettings(days=3650, keep_text="none"))
    own = OwnAddresses.of([(OWNER, [])])
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "store.sqlite")
        with connect(settings, OWNER, lambda: SecretStr(dovecot.PASSWORD), account.folders) as source:
            done = sync(source, store, "bench", account, own, now=time.time).new
        store.close()
    return done


def bare(server: dovecot.Dovecot, user: str) -> int:
    """Log in, fetch the same of every message in batches of 1,000, log out."""
    client = IMAPClient(server.host, server.port, ssl=False)
    client.login(user, dovecot.PASSWORD)
    fetched = 0
    for folder in FOLDERS:
        client.select_folder(folder, readonly=True)
        uids = client.search("ALL")
        for start in range(0, len(uids), 1000):
            fetched += len(client.fetch(uids[start : start + 1000], FIELDS))
    client.logout()
    return fetched
