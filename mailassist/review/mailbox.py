"""The list's supply: from the index at once, from the servers in the background, and new mail by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from mailassist.errors import MailassistError
from mailassist.review.calls import Stopped
from mailassist.review.keeping import Keeper
from mailassist.review.messages import BoardChanged, ConnectionChanged, Noticed, ReplyChanged
from mailassist.review.phrases import counted, named
from mailassist.review.session import Session, unexpected

if TYPE_CHECKING:
    from mailassist.intake.sync import SyncProgress, SyncResult


class Mailbox:
    """Keeps the board up to date with every account."""

    def __init__(self, session: Session, keeper: Keeper) -> None:
        """Nothing is read before `open`."""
        self._session = session
        self._keeper = keeper
        self._syncing: set[str] = set()
        self._told: set[tuple[str, str]] = set()
        self.listed = False  # the index has been read once

    async def open(self) -> None:
        """List what the index knows, then bring it up to date and watch for new mail."""
        for account in self._session.desk.account_names:
            await self.refresh(account)
        self.listed = True
        self._session.post(BoardChanged())
        for account in self._session.desk.account_names:
            self._session.start(partial(self._keep_up, account), group=f"watch-{account}")

    async def refresh(self, account: str) -> None:
        """Read one account's waiting conversations and saved drafts from the store."""
        session = self._session
        desk = session.desk
        found = await session.attempt(lambda _: (desk.waiting(account), desk.saved_drafts(account)))
        if found is None:
            return
        had_some = self.listed and len(session.board) > 0
        merged = session.board.merge(account, *found, keep=session.current)
        if desk.team is not None:
            session.board.mark(account, desk.team.marks(account))
            if session.current is not None:
                session.post(ReplyChanged(session.current))
        for reply in merged.overtaken:
            self._keeper.keep(reply)
        names = tuple(named(reply.waiting.correspondent) for reply in merged.new)
        session.post(BoardChanged(names if had_some else ()))

    def sync_now(self) -> None:
        """Look for new mail in every account."""
        for account in self._session.desk.account_names:
            if account not in self._syncing:
                self._session.start(partial(self.sync, account), group=f"sync-{account}")

    async def sync(self, account: str) -> bool:
        """One sync with its progress shown; whether it came through. A failure leaves the list as it is."""
        session = self._session
        self._syncing.add(account)
        session.post(ConnectionChanged(account, "looking for new mail", True))
        report = _Reporter(session, account)
        try:
            result = await session.calls.run(lambda stopped: session.desk.sync(account, report, stopped))
        except MailassistError as error:
            session.post(ConnectionChanged(account, "offline", False))
            session.post(Noticed(str(error), "error"))
            return False
        except Exception as error:  # noqa: BLE001  (a bug; the list and the saved drafts stay usable)
            session.post(ConnectionChanged(account, "not looked", False))
            session.post(Noticed(unexpected(error), "error"))
            return False
        finally:
            self._syncing.discard(account)
        session.post(ConnectionChanged(account, "online", True))
        await self.refresh(account)
        self._tell(account, result)
        return True

    def _tell(self, account: str, result: SyncResult) -> None:
        """What the person should know of the folders, once; `doctor` says all of it again."""
        problems = [one for one in (*result.unread, *result.unknown) if (account, one) not in self._told]
        self._told.update((account, one) for one in problems)
        if problems:
            more = f" (and {len(problems) - 1} more: see mailassist doctor)" if len(problems) > 1 else ""
            self._session.post(Noticed(f"{problems[0]}{more}", "warning"))

    async def _keep_up(self, account: str) -> None:
        """Sync once, then wait for new mail as long as the program runs."""
        session = self._session
        await self.sync(account)
        loop = asyncio.get_running_loop()

        def changed() -> None:
            session.start(partial(self.refresh, account), group=f"refresh-{account}")

        def connected(ok: bool, text: str) -> None:
            session.post(ConnectionChanged(account, text or ("online" if ok else "offline"), ok))

        def watch(stopped: Stopped) -> None:
            session.desk.watch(account, lambda: _soon(loop, changed), connected, stopped)

        await session.attempt(watch)


class _Reporter:
    """Hands a sync's progress to the screen."""

    def __init__(self, session: Session, account: str) -> None:
        self._session, self._account = session, account

    def __call__(self, progress: SyncProgress) -> None:
        """Called in the sync's thread."""
        words = f"{progress.folder}: {counted(progress.done, 'message')} of {progress.total:,}"
        self._session.post(ConnectionChanged(self._account, words, True))


def _soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    """Run `callback` in the loop, unless it has ended."""
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        pass
