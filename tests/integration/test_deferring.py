"""Team mail whose draft can wait: through a batch to the Drafts folder, against a real IMAP server."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from servers.dovecot import Dovecot
from servers.model_api import ModelServer
from servers.team import Team, answering, id_of, mail, team

from mailassist.daemon.deferring import Deferring
from mailassist.daemon.steps import Steps
from mailassist.model.batch import BatchApi
from mailassist.model.connection import Endpoint
from mailassist.store import arrivals
from mailassist.store.ledger import entries

LIMITS = '[daemon.limits]\nbatch = ["low"]\n'


@pytest.fixture
def scene(
    dovecot: Dovecot, model_server: ModelServer, tmp_path: Path
) -> Iterator[Callable[..., tuple[Team, Deferring]]]:
    made: list[tuple[Team, Deferring]] = []

    def make(urgency: str = "low") -> tuple[Team, Deferring]:
        support = team(dovecot, model_server, tmp_path, more=LIMITS)
        api = BatchApi(Endpoint(model_server.base_url))
        deferring = Deferring(lambda: support.parts, api, offered=lambda info: True)
        support.parts = replace(support.parts, defer=deferring)
        support.steps = Steps(support.parts)
        model_server.answers = [answering(urgency=urgency)]
        made.append((support, deferring))
        return made[-1]

    yield make
    for support, deferring in made:
        deferring.batches.close()
        support.close()


def later(support: Team, deferring: Deferring) -> list[str]:
    """Six minutes later, after a look at the batches."""
    support.ahead += 360.0
    deferring.batches.work()
    return support.work()


def asked(support: Team) -> list[str]:
    return [request.method for request in support.model.requests if "input" in request.body]


def test_what_can_wait_is_drafted_by_a_batch_at_half_the_price(scene: Callable[..., tuple[Team, Deferring]]) -> None:
    support, deferring = scene()
    support.boxes["support"].deliver(question := mail())
    assert support.work() == ["packed"] and arrivals.next_due(support.store) is None
    assert support.drafts() == [] and later(support, deferring) == ["delivered"]
    (draft,) = support.drafts()
    assert draft["In-Reply-To"] == id_of(question) and "left our warehouse today" in draft.get_content()
    assert asked(support) == ["POST", "BATCH"]  # triage, then the draft
    _, drafted = entries(support.store)
    assert drafted.cost == pytest.approx((1000 * 0.15 + 50 * 0.60) / 1e6 / 2) and drafted.state == "done"
    assert deferring.batches.idle() and not support.model.batches.files


def test_what_is_urgent_does_not_wait(scene: Callable[..., tuple[Team, Deferring]]) -> None:
    support, _ = scene(urgency="high")
    support.boxes["support"].deliver(mail())
    assert support.work() == ["delivered"] and asked(support) == ["POST", "POST"]


def test_a_newer_message_makes_the_late_result_worthless(scene: Callable[..., tuple[Team, Deferring]]) -> None:
    support, deferring = scene()
    support.boxes["support"].deliver(first := mail())
    support.work()
    support.boxes["support"].deliver(mail(text="And what does it cost?", answers=id_of(first), subject="Re: Order"))
    assert support.work() == ["superseded", "packed"]
    assert later(support, deferring) == ["superseded", "delivered"]
    assert len(support.drafts()) == 1 and asked(support).count("BATCH") == 1


def test_a_batch_that_fails_is_followed_by_direct_calls(scene: Callable[..., tuple[Team, Deferring]]) -> None:
    support, deferring = scene()
    support.model.batches.ends = "failed"
    support.boxes["support"].deliver(mail())
    assert support.work() == ["packed"]
    assert later(support, deferring) == ["delivered"]
    assert len(support.drafts()) == 1 and asked(support) == ["POST", "POST"]
