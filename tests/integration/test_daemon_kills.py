"""Nothing is lost and nothing doubled while processes die; the long run is `make bench NAME=team_kills`."""

from pathlib import Path

import pytest
from servers import chaos
from servers.chaos import Plan


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "plan",
    [
        Plan(20, kills=4, server_restarts=1, database_restarts=0, seed=3),
        Plan(12, kills=2, server_restarts=1, database_restarts=1, seed=4, kind="exchange", on_postgres=True),
        Plan(12, kills=2, server_restarts=1, database_restarts=0, seed=5, kind="gmail"),
    ],
    ids=["dovecot", "exchange-postgres", "gmail"],
)
def test_every_conversation_has_the_one_draft_that_it_needs(plan: Plan, tmp_path: Path) -> None:
    outcome = chaos.run(plan, tmp_path)
    assert outcome.problems == []
    assert outcome.lost == set()
    assert outcome.doubled == []
    assert outcome.unwanted == set()
    assert outcome.whole
    assert outcome.entries > 0
