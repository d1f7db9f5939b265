"""A thousand conversations while the daemon is killed a hundred times and its servers are restarted: what is left.

    make bench NAME=team_kills ARGS="--kind gmail --postgres --seed 7"

Not a measure of speed: at the end there has to be exactly one current draft for each conversation that needs one, none
for the others, and an audit trail that verifies. The seed decides the mail, the moments and the model's failures.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import report


def run(arguments: list[str]) -> None:
    """One run; its figures, and exit status 1 where something was lost, doubled or unwanted."""
    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    chaos = importlib.import_module("servers.chaos")
    parser = argparse.ArgumentParser()
    parser.add_argument("--conversations", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--server-restarts", type=int, default=10)
    parser.add_argument("--database-restarts", type=int, default=5)
    parser.add_argument("--failures", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kind", choices=("dovecot", "gmail", "exchange"), default="dovecot")
    parser.add_argument("--postgres", action="store_true")
    options = parser.parse_args(arguments)
    plan = chaos.Plan(
        options.conversations, options.kills, options.server_restarts, options.database_restarts, options.failures,
        options.seed, options.kind, options.postgres,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        outcome = chaos.run(plan, Path(folder), print)
    figures = {
        "server": plan.kind,
        "store": "PostgreSQL" if plan.on_postgres else "SQLite",
        "seed": plan.seed,
        "conversations": plan.conversations,
        "kills": outcome.kills,
        "restarts": outcome.restarts,
        "share_of_calls_that_fail": plan.failures,
        "drafts_wanted": len(outcome.wanted),
        "drafts_there": sum(outcome.answered.values()),
        "lost": len(outcome.lost),
        "doubled": len(outcome.doubled),
        "unwanted": len(outcome.unwanted),
        "audit_entries": outcome.entries,
        "audit_whole": outcome.whole,
        "seconds": outcome.seconds,
        **{f"arrivals_{state}": count for state, count in sorted(outcome.states.items())},
    }
    report("team_kills", figures, "imapclient", "sqlalchemy", "procrastinate")
    for name, found in (("lost", outcome.lost), ("doubled", outcome.doubled), ("unwanted", outcome.unwanted)):
        if found:
            print(f"{name}: {sorted(found)[:10]}")
    for problem in outcome.problems:
        print(problem)
    if outcome.lost or outcome.doubled or outcome.unwanted or outcome.problems or not outcome.whole:
        sys.exit(1)
