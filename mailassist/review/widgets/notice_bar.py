"""What the person should read now: one message, until it is old or another comes."""

from __future__ import annotations

from textual.timer import Timer
from textual.widgets import Static

from mailassist.mail.safe_text import SafeText
from mailassist.review.messages import Severity
from mailassist.review.phrases import line

_SIGNS = {"information": "", "warning": "! ", "error": "✗ "}
_SECONDS = {"information": 8.0, "warning": 20.0, "error": 45.0}


class NoticeBar(Static):
    """Takes no room while there is nothing to say."""

    def __init__(self, *, id: str) -> None:
        """Nothing to say."""
        super().__init__("", id=id, markup=False)
        self._timer: Timer | None = None
        self.text = SafeText()

    def say(self, text: str, severity: Severity = "information") -> None:
        """Show `text` for a time that fits its weight."""
        if self._timer is not None:
            self._timer.stop()
        self.text = SafeText(text).line()
        self.update(line(_SIGNS[severity] + self.text))
        self.set_classes(f"-{severity} -shown")
        self._timer = self.set_timer(_SECONDS[severity], self.clear)

    def clear(self) -> None:
        """Nothing more to say."""
        self.text = SafeText()
        self.set_classes("")
