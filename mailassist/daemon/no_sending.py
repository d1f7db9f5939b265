"""A daemon that cannot send: an import of SMTP, or of what sends, is refused in this process."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Sequence
from types import ModuleType

REFUSED = ("smtplib", "mailassist.transport.smtp", "mailassist.delivery.outbox", "mailassist.delivery.sending")


class _Refusal(importlib.abc.MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Refuse; leave all else to the other finders."""
        if name in REFUSED:
            raise ImportError(f"the daemon cannot send: {name} is not to be had in this process")


def refuse_sending() -> None:
    """From now on nothing in this process can import SMTP. Raises RuntimeError where something has done so already."""
    there = [name for name in REFUSED if name in sys.modules]
    if there:
        raise RuntimeError(f"{there[0]} was loaded before the daemon began")
    if not any(isinstance(finder, _Refusal) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Refusal())
