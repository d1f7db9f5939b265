"""`mailassist sync`: bring the local header index up to date."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from mailassist.cli.context import config_option, open_desk
from mailassist.cli.output import dump_json, say, warn
from mailassist.errors import MailassistError, MailboxError
from mailassist.mail.safe_text import SafeText

if TYPE_CHECKING:
    from mailassist.intake.sync import SyncProgress, SyncResult


@click.command()
@click.option("--account", default="", metavar="NAME", help="One account; without it, all of them.")
@click.option("--json", "as_json", is_flag=True, help="A list of what was done, one object an account.")
@config_option
def command(account: str, as_json: bool) -> int:
    """Bring the local header index up to date.

    Newest first, and as far back as the configuration says. It can be stopped at any time (Ctrl-C) and goes on where
    it was. Exits with the code of the first account that failed, and with 7 when the configuration names a folder that
    is not there; the others are read all the same.
    """
    desk = open_desk()
    names = [desk.config.account(account)[0]] if account else desk.account_names or [desk.config.account()[0]]
    done: list[dict[str, object]] = []
    code = 0
    for name in names:
        begun = time.monotonic()
        try:
            result = desk.sync(name, None if as_json else _Line(name))
        except MailassistError as error:
            _clear_line()
            warn(f"mailassist: {name}: {error}")
            done.append({"account": name, "error": str(error)})
            code = code or error.exit_code
            continue
        done.append(_described(name, result, time.monotonic() - begun))
        if not as_json:
            _report(name, result)
        for problem in (*result.unread, *result.unknown):
            warn(problem)
        code = code or (MailboxError.exit_code if result.unknown else 0)
    if as_json:
        dump_json(done)
    return code


class _Line:
    """Progress on one line of the terminal; nothing where the output is no terminal."""

    def __init__(self, account: str) -> None:
        self._account = account
        self._terminal = sys.stderr.isatty()

    def __call__(self, progress: SyncProgress) -> None:
        """Overwrite the line."""
        if self._terminal:
            words = SafeText(f"{self._account}: {progress.folder} {progress.done:,} of {progress.total:,}").line()
            click.echo(f"\r\x1b[K{words[:100]}", nl=False, err=True)


def _clear_line() -> None:
    if sys.stderr.isatty():
        click.echo("\r\x1b[K", nl=False, err=True)


def _report(name: str, result: SyncResult) -> None:
    _clear_line()
    words = f"{name}: {result.new:,} new, {result.removed:,} gone, {len(result.folders)} folders"
    say(words + (f", text of {result.texts} messages kept" if result.texts else ""))
    for folder in result.restarted:
        say(f"  {folder} was read anew: the server has numbered its messages anew (UIDVALIDITY)")


def _described(name: str, result: SyncResult, seconds: float) -> dict[str, object]:
    return {
        "account": name,
        "new": result.new,
        "removed": result.removed,
        "folders": list(result.folders),
        "restarted": list(result.restarted),
        "complete": result.complete,
        "texts": result.texts,
        "unread": list(result.unread),
        "unknown": list(result.unknown),
        "seconds": round(seconds, 3),
    }
