"""What the parts behind the screen share: the desk, the board, threads, the clock, and a way to tell the screen."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import tzinfo
from typing import Any, Protocol, TypeVar

from textual.message import Message

from mailassist.errors import MailassistError
from mailassist.review.board import Board
from mailassist.review.calls import Calls, Stopped
from mailassist.review.messages import Noticed
from mailassist.review.reply import Key
from mailassist.worklist import ReviewDesk

Result = TypeVar("Result")


class Start(Protocol):
    """Starts a coroutine function beside the screen's work.

    `exclusive`: what runs in the same `group` is cancelled.
    """

    def __call__(
        self, work: Callable[[], Coroutine[Any, Any, object]], *, group: str, exclusive: bool = False
    ) -> object:
        """Start it."""
        ...


@dataclass
class Session:
    """One run of the UI."""

    desk: ReviewDesk
    now: Callable[[], float]  # seconds since 1970
    zone: tzinfo | None  # of the dates shown; None: the machine's
    post: Callable[[Message], object]  # to the main screen, from any thread
    start: Start
    board: Board = field(default_factory=Board)
    calls: Calls = field(default_factory=Calls)
    current: Key | None = None  # the conversation that is shown

    async def attempt(self, work: Callable[[Stopped], Result]) -> Result | None:
        """The result of `work`, run in a thread; None after a failure, which the person is told in one line."""
        try:
            return await self.calls.run(work)
        except MailassistError as error:
            self.post(Noticed(str(error), "error"))
        except Exception as error:  # noqa: BLE001  (a bug; it must not take the person's text with it)
            self.post(Noticed(unexpected(error), "error"))
        return None


def unexpected(error: BaseException) -> str:
    """One line for what has no name."""
    return f"Something unexpected happened ({type(error).__name__}: {error}). Nothing is lost; please report it."
