"""Approved replies on their way: the undo time that is left, what is being sent, what nobody can tell."""

from __future__ import annotations

import math
from collections.abc import Sequence

from textual import events
from textual.content import Content
from textual.widgets import Static

from mailassist.mail.safe_text import SafeText
from mailassist.review.phrases import line
from mailassist.worklist import OutboxEntry


class OutgoingBar(Static):
    """Takes no room while nothing is on its way."""

    def __init__(self, *, id: str) -> None:
        """Nothing on its way."""
        super().__init__("", id=id, markup=False)
        self._key = ""

    def show(self, entries: Sequence[OutboxEntry], now: float) -> None:
        """The replies on their way, as of `now`; drawn again only when the words change."""
        words = [(text, style) for text, style in _sentences(entries, now) if text]
        key = repr(words)
        if key == self._key:
            return
        self._key = key
        self.set_class(bool(words), "-shown")
        self.update(Content("  ").join([line(text, style) for text, style in words]))

    async def on_click(self, event: events.Click) -> None:
        """The same as the key `u`."""
        event.stop()
        await self.app.run_action("screen.undo", default_namespace=self)


def _sentences(entries: Sequence[OutboxEntry], now: float) -> list[tuple[str, str]]:
    pending = sorted((one for one in entries if one.state == "approved"), key=lambda one: one.not_before)
    retried = [one for one in pending if one.error]
    fresh = [one for one in pending if not one.error]
    sending = [one for one in entries if one.state in ("sending", "sent", "filed")]
    unknown = [one for one in entries if one.state == "unknown"]
    sentences: list[tuple[str, str]] = []
    if fresh:
        last = max(fresh, key=lambda one: one.id)
        seconds = max(0, math.ceil(last.not_before - now))
        more = f" (and {len(fresh) - 1} more)" if len(fresh) > 1 else ""
        sentences.append((f"Sends to {_to(last)} in {seconds} s{more}: u takes it back", "bold"))
    if sending:
        sentences.append((f"Sending to {_to(sending[0])} …", ""))
    if retried:
        wait = max(0, math.ceil(retried[0].not_before - now))
        error = SafeText(retried[0].error).line()
        sentences.append((f"Not sent yet, tried again in {wait} s: {error}", "$text-warning"))
    if unknown:
        whom = ", ".join(_to(one) for one in unknown)
        sentences.append((f"Nobody can tell whether this was sent to {whom}: see `mailassist outbox`", "$text-error"))
    return sentences


def _to(entry: OutboxEntry) -> str:
    first = entry.recipients[0] if entry.recipients else "nobody named"
    return first + (f" and {len(entry.recipients) - 1} more" if len(entry.recipients) > 1 else "")
