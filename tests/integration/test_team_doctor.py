"""`mailassist doctor` for team mailboxes, against real servers."""

import time
from pathlib import Path

import pytest
from servers.dovecot import Dovecot
from servers.model_api import ModelServer
from servers.postgres import Postgres, with_tables
from servers.scripted_imap import mailbox, scripted
from servers.team import client, configuration, id_of, mail

from mailassist.doctor import Finding, examine


def examined(folder: Path, text: str, *, online: bool = True) -> list[Finding]:
    config = folder / "config.toml"
    config.write_text(text)
    config.chmod(0o600)
    return list(examine(config, online=online))


def worst(found: list[Finding], about: str) -> Finding:
    ranked = {"ok": 0, "warn": 1, "fail": 2}
    return max((one for one in found if about in one.what), key=lambda one: ranked[one.level])


def test_a_mailbox_that_is_right_has_nothing_wrong(dovecot: Dovecot, model_server: ModelServer, tmp_path: Path) -> None:
    box = dovecot.user("support")
    found = examined(tmp_path, configuration(dovecot, model_server, {"support": box}, tmp_path))
    assert [one for one in found if one.level == "fail"] == []  # no SMTP is no mistake here
    said = [one.what for one in found]
    assert "support: nothing speaks against drafts in Drafts" in said
    assert f"support: {box.name} logs in; the mailbox is taken for that of support@team.example" in said
    assert worst(found, "nobody hears of").level == "warn"
    with client(dovecot, box) as program:
        program.select_folder("Drafts", readonly=True)
        assert program.search() == []  # nothing was stored to find that out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"MYRIGHTS": ["* MYRIGHTS Drafts lrs", "OK done"]}, "may not store messages, delete messages, expunge"),
        ({"GETQUOTAROOT": ['* QUOTAROOT Drafts ""', '* QUOTA "" (STORAGE 512 512)', "OK done"]}, "is full (512 of 512"),
        ({"SELECT": ["* 0 EXISTS", "* OK [UIDVALIDITY 5] .", "OK [READ-ONLY] done"]}, "it is read-only"),
        ({"SELECT": ["NO [NOPERM] not yours"]}, "not yours"),
        ({"LIST": ['* LIST () "/" INBOX', "OK done"]}, "no Drafts folder"),
    ],
)
def test_a_drafts_folder_that_will_take_nothing_is_named(
    dovecot: Dovecot, model_server: ModelServer, tmp_path: Path, more: dict[str, list[str]], said: str
) -> None:
    usual = {
        "LIST": ['* LIST () "/" INBOX', '* LIST (\\Drafts) "/" Drafts', "OK done"],
        "SELECT": ["* 0 EXISTS", "* OK [UIDVALIDITY 5] .", "OK [READ-WRITE] done"],
        "MYRIGHTS": ["* MYRIGHTS Drafts lrswite", "OK done"],
        "GETQUOTAROOT": ['* QUOTAROOT Drafts ""', '* QUOTA "" (STORAGE 10 512)', "OK done"],
        "EXAMINE": ["* 0 EXISTS", "* OK [UIDVALIDITY 5] .", "* OK [UIDNEXT 1] .", "OK [READ-ONLY] done"],
    }
    box = dovecot.user("support")
    for answers, level in ((usual, "ok"), ({**usual, **more}, "fail")):
        with scripted(lambda command: mailbox(command, answers), "* OK [CAPABILITY IMAP4rev1 ACL QUOTA] hi") as server:  # noqa: B023
            text = configuration(dovecot, model_server, {"support": box}, tmp_path)
            found = examined(tmp_path, text.replace(f"port = {dovecot.port}", f"port = {server.port}"))
            assert not any(one.startswith("APPEND") for one in server.commands)
        finding = worst([one for one in found if one.what.startswith("support:")], "raft")
        assert finding.level == level, finding
    assert said in finding.what
    assert finding.exit_code == 7


def test_answers_that_lie_elsewhere_are_noticed(dovecot: Dovecot, model_server: ModelServer, tmp_path: Path) -> None:
    box = dovecot.user("support")
    text = configuration(dovecot, model_server, {"support": box}, tmp_path)
    asked = [mail() for _ in range(4)]
    for one in asked:
        box.deliver(one, flags="RS")
    finding = worst(examined(tmp_path, text), "marked as answered")
    assert finding.level == "warn" and "4 of 4" in finding.what and "MessageCopyForSentAsEnabled" in finding.cure
    for one in asked[1:]:
        box.deliver(mail(sender="support@team.example", to="carla@customer.example", answers=id_of(one)), "Sent")
    assert "support: the team's answers show in Sent" in [one.what for one in examined(tmp_path, text)]


def test_policies_and_models_are_looked_at(dovecot: Dovecot, model_server: ModelServer, tmp_path: Path) -> None:
    policy = 'holidays_of = "DE-XX"\ntriage_model = "nobody-knows-it"\ndraft_mode = "queue"'
    boxes = {"support": dovecot.user("support")}
    found = examined(tmp_path, configuration(dovecot, model_server, boxes, tmp_path, policy=policy), online=False)
    assert (worst(found, "DE-XX").level, worst(found, "DE-XX").exit_code) == ("fail", 3)
    assert worst(found, "nobody-knows-it").level == "warn"
    assert worst(found, "reach nobody but the service user").level == "warn"


def test_the_way_to_the_queue_is_tried(
    dovecot: Dovecot, model_server: ModelServer, postgres: Postgres, tmp_path: Path
) -> None:
    database = postgres.database(with_tables)
    text = configuration(
        dovecot, model_server, {"support": dovecot.user("support")}, tmp_path,
        more=f'[team]\ndatabase = "{database.url()}"',
    )  # fmt: skip
    found = examined(tmp_path, text)
    assert worst(found, "the team's database answers").level == "ok"
    assert worst(found, "no key for the audit trail").exit_code == 4
    away = text.replace(f'database = "{database.url()}"', f'socket = "{tmp_path}/nobody.sock"')
    begun = time.monotonic()
    assert worst(examined(tmp_path, away), "nobody.sock").exit_code == 6
    assert time.monotonic() - begun < 60
