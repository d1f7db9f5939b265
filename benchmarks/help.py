"""`mailassist --help` against `python -c pass`: at most 8 times."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.measuring import best, interleaved, median, report

LIMIT = 8.0


def run(arguments: list[str]) -> None:
    """`arguments`: how often (20)."""
    rounds = int(arguments[0]) if arguments else 20

    def python(*words: str) -> None:
        subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)

    python("-m", "mailassist", "--help")
    seconds = interleaved(rounds, help=lambda: python("-m", "mailassist", "--help"), bare=lambda: python("-c", "pass"))
    figures = {
        "help_seconds": median(seconds["help"]),
        "python_seconds": median(seconds["bare"]),
        "ratio": median(seconds["help"]) / median(seconds["bare"]),
        "ratio_of_the_best": best(seconds["help"]) / best(seconds["bare"]),
        "limit": LIMIT,
    }
    report("help", figures, "click")
