"""The line above the draft: exactly who it is from and who gets it."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.content import Content
from textual.widgets import Static

from mailassist.mail.message import Address
from mailassist.review.phrases import bare, joined, line, shown
from mailassist.review.reply import Reply


class Recipients(Static):
    """From, To, Cc as they will be used, and what is odd about them."""

    def __init__(self, *, id: str) -> None:
        """Nothing known yet."""
        super().__init__("", id=id, markup=False)

    def show(self, reply: Reply | None) -> None:
        """The recipients of a reply as it is planned now."""
        self.update(_content(reply) if reply else Content(""))

    async def on_click(self, event: events.Click) -> None:
        """The same as the key `R`."""
        event.stop()
        await self.app.run_action("screen.toggle_reply_all", default_namespace=self)


def _content(reply: Reply) -> Content:
    plan = reply.plan
    if plan is None:
        return Content("")
    parts = [_label("From"), line(bare(plan.from_)), Content("  "), _label("To"), _list(plan.to or ())]
    if not plan.to:
        parts.append(line("nobody yet: you choose when you approve", "$text-warning"))
    if plan.cc:
        parts += [Content("  "), _label("Cc"), _list(plan.cc)]
    lines = [joined(*parts)]
    lines += [line(f"! {note}", "$text-warning") for note in (*plan.needs_confirmation, *plan.notes)]
    return Content("\n").join(lines)


def _label(name: str) -> Content:
    return shown(f"{name} ", "$text-muted")


def _list(addresses: Iterable[Address]) -> Content:
    return line(", ".join(bare(address) for address in addresses))
