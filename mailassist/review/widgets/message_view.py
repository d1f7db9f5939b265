"""One message of the thread: folded to a line, or with headers and text, quoted text folded."""

from __future__ import annotations

from datetime import tzinfo
from typing import TYPE_CHECKING

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.reactive import reactive
from textual.widgets import Static

from mailassist.mail.message import Attachment, Message
from mailassist.mail.safe_text import SafeText
from mailassist.review.phrases import bare, counted, joined, line, moment, shown, size
from mailassist.review.widgets.fold import Fold

if TYPE_CHECKING:
    from mailassist.mail.threads import Entry

TEXT_LIMIT = 100_000  # characters of one message that are laid out; the rest is told


class MessageView(Vertical):
    """A message as a person reads it."""

    open: reactive[bool] = reactive(False)
    unfolded: reactive[bool] = reactive(False)  # quoted text and signature too

    def __init__(self, entry: Entry, *, now: float, zone: tzinfo | None, open: bool) -> None:
        """`now`, `zone`: for its date; `open`: more than one line of it."""
        super().__init__(classes="-ours" if entry.ours else "")
        self._entry, self._now, self._zone = entry, now, zone
        self._filled = False
        self.set_reactive(MessageView.open, open)

    def compose(self) -> ComposeResult:
        """The line always; the rest when it is opened for the first time."""
        yield Fold(self._summary(), classes="summary")
        if self.open:
            self._filled = True
            yield from self._parts()

    def on_mount(self) -> None:
        """Show what is open."""
        self.set_class(self.open, "-open")

    def watch_open(self, open: bool) -> None:
        """Fill it in when it is needed, and show or hide."""
        if not self.is_mounted:
            return
        if open and not self._filled:
            self._filled = True
            self.mount_all(list(self._parts()))
        self.set_class(open, "-open")
        self.query_one(".summary", Fold).update(self._summary())

    def watch_unfolded(self, unfolded: bool) -> None:
        """Show or hide quoted text."""
        self.set_class(unfolded, "-unfolded")
        for fold in self.query(".quote-fold").results(Fold):
            fold.update(self._quote_line())

    @on(Fold.Clicked, ".summary")
    def _toggle(self, event: Fold.Clicked) -> None:
        event.stop()
        self.open = not self.open

    @on(Fold.Clicked, ".quote-fold")
    def _toggle_quote(self, event: Fold.Clicked) -> None:
        event.stop()
        self.unfolded = not self.unfolded

    def _summary(self) -> Content:
        """Who and when; while folded, how it begins."""
        message = self._entry.message
        author = message.author
        who = "You" if self._entry.ours else author.name or author.email if author else "Nobody named"
        parts = [
            shown("▾ " if self.open else "▸ ", "$text-muted"),
            line(who, "bold"),
            shown(f"  {moment(message.date, self._now, self._zone)}", "$text-muted"),
        ]
        if not self.open:
            parts += [Content("  "), line((message.reply or message.text)[:300], "$text-muted")]
        return joined(*parts)

    def _parts(self) -> ComposeResult:
        message = self._entry.message
        yield Static(_headers(message, new_topic=self._entry.new_topic), markup=False, classes="headers")
        remarks = _remarks(message)
        if remarks:
            yield Static(shown("\n".join(remarks)), markup=False, classes="remarks")
        yield Static(_body(message.reply if message.reply.strip() else message.text), markup=False, classes="body")
        if message.attachments:
            yield Static(_attachments(message.attachments), markup=False, classes="attachments")
        if message.reply.strip() and (message.quoted.strip() or message.signature.strip()):
            yield Fold(self._quote_line(), classes="quote-fold")
            yield Static(_body(_rest(message)), markup=False, classes="quote")

    def _quote_line(self) -> Content:
        count = len(_rest(self._entry.message).splitlines())
        sign = "▾" if self.unfolded else "▸"
        return shown(f"{sign} {counted(count, 'line')} of quoted text and signature", "$text-muted")


def _headers(message: Message, *, new_topic: bool) -> Content:
    """From, To, Cc with bare addresses; the subject where it changed."""
    fields = [
        ("From", ", ".join(bare(address) for address in message.from_)),
        ("Reply-To", ", ".join(bare(address) for address in message.reply_to)),
        ("To", _some(message.to)),
        ("Cc", _some(message.cc)),
        ("New subject" if new_topic else "", message.subject),
    ]
    parts = [joined(shown(f"{name} ", "$text-muted"), line(value)) for name, value in fields if name and value]
    return Content("  ").join(parts)


def _some(addresses: tuple[object, ...], limit: int = 8) -> str:
    """The first addresses, and how many more there are."""
    names = [bare(address) for address in addresses[:limit]]  # type: ignore[arg-type]
    more = len(addresses) - len(names)
    return ", ".join(names) + (f" and {more} more" if more > 0 else "")


def _remarks(message: Message) -> list[str]:
    """What was odd about the message, one line each."""
    remarks = []
    if message.encrypted:
        remarks.append(f"Encrypted ({message.encrypted}): it cannot be read here and is never drafted.")
    if message.too_complex:
        remarks.append("Too complex: only a part of it was read; it is never drafted.")
    if message.hidden:
        remarks.append(f"{counted(sum(map(len, message.hidden)), 'hidden character')} removed.")
    remarks += [SafeText(warning).line() for warning in message.warnings[:5]]
    return [f"! {remark}" for remark in remarks]


def _body(text: str) -> Content:
    """The text, with runs of empty lines made one, and cut where laying it out would take too long."""
    lines: list[str] = []
    for raw in text[:TEXT_LIMIT].strip("\n").splitlines():
        stripped = raw.rstrip()
        if stripped or (lines and lines[-1]):
            lines.append(stripped)
    left = len(text) - TEXT_LIMIT
    if left > 0:
        lines.append(f"[{left:,} more characters are not shown]")
    return shown("\n".join(lines) or "(no text)")


def _rest(message: Message) -> str:
    return "\n".join(part.strip("\n") for part in (message.signature, message.quoted) if part.strip())


def _attachments(attachments: tuple[Attachment, ...]) -> Content:
    names = [f"{SafeText(one.name or '(no name)').line()} ({size(one.size)})" for one in attachments[:10]]
    more = f" and {len(attachments) - 10} more" if len(attachments) > 10 else ""
    return line(f"Attached: {', '.join(names)}{more}", "$text-muted")
