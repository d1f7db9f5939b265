"""Our draft in the Drafts folder: there while it is right, away when it is not; a person's text is never touched."""

from __future__ import annotations

from mailassist.context.language import reply_language
from mailassist.daemon import feedback
from mailassist.daemon.steps import freshness
from mailassist.daemon.steps.run import Run, Waits
from mailassist.delivery.drafts import DraftOutcome, append_revision, remove_untouched
from mailassist.delivery.reply import Built, Reply, build, layout_of
from mailassist.delivery.work import Surroundings, Work
from mailassist.store import arrivals, cases, drafts, review
from mailassist.store.drafts import DraftRow

APPROVED = 15.0  # seconds between two looks whether an approved reply is through
NOT_NEEDED = "a person has said that no reply is needed"
HELD = 30.0  # seconds: a killed process's APPEND is gone on with after that


def place(run: Run) -> None:
    """`drafted -> delivered`, or `theirs` where a person edited or deleted our draft."""
    parts, box = run.parts, run.mailbox
    row = drafts.of_case(parts.store, run.row.case_id or 0)
    if row is None or row.answers != run.row.message_id:
        run.record(state="packed")  # it was taken away (retention, forget): written anew
        return
    if parts.shadow:
        run.finish("delivered", feedback.doubt(run), case="drafted")
        return
    if box.policy.draft_mode == "queue":
        if row.lies_in_mailbox:  # from before the mode was changed: of an earlier message
            _removed(run, row)
        run.finish("delivered", feedback.doubt(run), case="drafted")
        return
    if not freshness.check(run):
        return
    try:
        if row.state == "appending" or row.folder:  # what is done before the intent is committed goes by the case, too
            case = cases.get(parts.store, run.row.case_id or 0)
            if case is not None and case.state in ("approved", "none"):
                raise drafts.Decided(case.state)
        outcome = _appended(run, row)
    except drafts.Decided as decided:
        if decided.state == "approved":
            raise Waits(parts.now() + APPROVED, "a person has approved a reply, which is on its way") from None
        if decided.state != "none":
            raise
        run.finish("none", NOT_NEEDED)
        return
    parts.mark("place:appended")
    if outcome.state in ("person", "gone"):
        _theirs(run, outcome)
        return
    run.finish("delivered", feedback.doubt(run), case="drafted")


def withdraw(run: Run) -> None:
    """`withdrawing -> answered` (or as the case ended): what became of the draft is noted, our copy leaves Drafts."""
    parts = run.parts
    row = drafts.of_case(parts.store, run.row.case_id or 0)
    case = cases.get(parts.store, run.row.case_id or 0)
    ended = case.state if case is not None and case.state in review.WITHOUT_DRAFT else "answered"
    if run.row.reason == arrivals.JOINED and ended == "none":
        _withdraw_joined(run, row)
        return
    discarded = ended == "none" and case is not None and case.message_id == run.row.message_id
    if row is not None:
        if discarded:
            feedback.note_discarded(parts, run.row)
        elif ended == "answered":
            feedback.note_answer(run, row)
        if row.lies_in_mailbox and not parts.shadow:
            _removed(run, row)
    reason = NOT_NEEDED if discarded else run.row.reason
    run.finish(ended, reason or (arrivals.ANSWERED if ended == "answered" else "a newer message came"))


def _withdraw_joined(run: Run, row: DraftRow | None) -> None:
    """The conversation goes on in another case; of a draft that a person has touched meanwhile people hear."""
    theirs = False
    if row is not None and row.lies_in_mailbox and not run.parts.shadow:
        theirs = not _removed(run, row) and bool(row.folder)
    reason = "its conversation goes on in another case; a person has edited or taken the draft of this one"
    run.finish("superseded", reason if theirs else arrivals.JOINED, tell=theirs, blocked=True)


def leave_nothing(run: Run) -> None:
    """A message came to an end without a draft: one of ours for an earlier message goes, too."""
    store, case_id = run.parts.store, run.row.case_id
    if case_id is not None and not run.parts.shadow:
        arrivals.withdraw(store, review.to_withdraw(store, [run.row.mailbox], case_id), now=run.parts.now())


def _removed(run: Run, row: DraftRow) -> bool:
    """Whether any of our revisions lay in Drafts as we put them there; they are taken away."""
    with run.parts.connections.borrowed(run.mailbox.name) as source:
        removed = remove_untouched(_work(run), source, row)
    run.parts.mark("withdraw:removed")
    return removed


def _work(run: Run) -> Work:
    around = Surroundings(now=run.parts.now, owner=run.parts.owner, mark=run.parts.mark, held=HELD)
    return Work(run.parts.store, run.parts.route(run.mailbox.name), around)


def _appended(run: Run, row: DraftRow) -> DraftOutcome:
    """APPEND in place of our earlier revision; one for an earlier message, deleted, says nothing of this."""
    work, earlier = _work(run), bool(row.placed_for) and row.placed_for != row.answers

    def revision(generation: int) -> Built:
        return _revision(run, row, generation)

    outcome = append_revision(work, row, revision)
    if outcome.state == "gone" and earlier:
        again = drafts.of_case(run.parts.store, run.row.case_id or 0)
        outcome = append_revision(work, again, revision, anew=True) if again is not None else outcome
    return outcome


def _theirs(run: Run, outcome: DraftOutcome) -> None:
    said = "edited" if outcome.state == "person" else "deleted"
    run.finish("theirs", f"a person has {said} the draft in the mailbox", case="theirs")
    if outcome.state == "gone":
        feedback.note_discarded(run.parts, run.row)


def _revision(run: Run, row: DraftRow, generation: int) -> Built:
    unique = f"draft {row.case_id} {generation}"
    return build(run.parts.store, _reply(run, row.text), now=run.parts.now(), unique=unique)


def _reply(run: Run, text: str) -> Reply:
    account = run.mailbox.account
    face = account.faces[run.plan.identity]
    conversation = run.pulled.conversation
    language = run.mailbox.policy.language or reply_language(conversation, face.languages)
    layout = layout_of(account, face, language)
    return Reply(run.mailbox.name, run.answered, run.plan, text, layout, conversation.key)
