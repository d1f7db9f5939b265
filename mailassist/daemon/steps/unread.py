"""A message whose headers the server did not give when it was looked for."""

from __future__ import annotations

from mailassist.daemon.arrivals import take_in_late
from mailassist.daemon.steps.run import Run
from mailassist.errors import MailboxError
from mailassist.store import arrivals


def read_again(run: Run) -> None:
    """`unread -> none`: what can be read by now is taken in as what it is.

    Raises MailboxError while it cannot, ConnectionFailed.
    """
    parts, box = run.parts, run.mailbox
    _, place = arrivals.standing(parts.store, run.row.id, box.name)
    assert place is not None
    folder, uidvalidity, uid = place
    with parts.connections.borrowed(box.name) as source:
        epoch = source.examine(folder).uidvalidity
        if epoch != uidvalidity or not source.uids(folder, uid, uid):  # numbered anew: the next look finds it
            run.finish("none", "it is not there any more", case="none")
            return
        found = list(source.headers(folder, [uid]))
        source.take_unreadable()
    if not found:
        raise MailboxError(
            f"The mail server does not give the headers of a message ({folder}, UID {uid})",
            cure="See whether another mail program can open it, and tell whoever runs the server.",
        )
    take_in_late(parts, box, found[0])
    run.finish("none", "the server gave it later: it is worked on as what it is", case="none")
