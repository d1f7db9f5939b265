"""One conversation in the list, drawn to the width there is."""

from __future__ import annotations

from textual.content import Content
from textual.css.styles import RulesMap
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual

from mailassist.review.phrases import HOUR, age, joined, line, named, office_time, shown
from mailassist.review.reply import Mark, Reply
from mailassist.worklist import TeamMark

# A mark is told by sign and word, not by colour alone.
_SIGNS = {
    Mark.NOTHING: (" ", ""),
    Mark.WRITING: ("~", "$text-accent"),
    Mark.DRAFT: ("•", "$text-success"),
    Mark.CUT_OFF: ("!", "$text-warning"),
    Mark.EDITED: ("•", "$text-success"),
    Mark.IN_DRAFTS: ("=", "$text-success"),
    Mark.APPROVED: (">", "$text-accent"),
    Mark.SENDING: (">", "$text-accent"),
    Mark.SENT: ("✓", "$text-success"),
    Mark.UNKNOWN: ("?", "$text-error"),
    Mark.FAILED: ("!", "$text-error"),
}


class Row(Visual):
    """Two lines: who and how long ago; what about, and how far the reply is."""

    def __init__(self, reply: Reply, now: float, *, with_account: bool, with_reason: bool = False) -> None:
        """`now`: seconds since 1970; `with_account`: name the account too (where there are several).

        `with_reason`: why it failed or is held, in place of what it is about.
        """
        item = reply.waiting
        sign, colour = _SIGNS[reply.mark]
        who = line(named(item.correspondent), "bold")
        self._left = (
            joined(shown(f"{sign} ", colour), who),
            joined(Content("  "), line((with_reason and reply.why) or item.subject or "(no subject)")),
        )
        count = f" ×{item.count}" if item.count > 1 else ""
        account = joined(line(item.account, "$text-muted"), Content(" ")) if with_account else Content("")
        self._right = (
            joined(account, shown(age(item.date, now), "$text-muted")),
            joined(shown(reply.mark.value, colour), shown(count, "$text-muted")),
        )
        if reply.team is not None:
            self._right = joined(account, _due(reply.team)), _held(reply, reply.team, self._right[1])
        if reply.selected:
            self._left = (joined(shown("✓ ", "$text-accent"), who), self._left[1])

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """The two lines, the left part cut where the right one needs the room."""
        strips: list[Strip] = []
        for left, right in zip(self._left, self._right, strict=True):
            room = max(1, width - right.cell_length - 1)
            whole = joined(left.truncate(room, ellipsis=True, pad=True), Content(" "), right)
            strips += whole.truncate(width).render_strips(width, 1, style, options)
        return strips

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """As wide as the list is."""
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:
        """Two lines."""
        return len(self._left)


# What a team's queue says in place of a mark, where there is no draft to speak of.
_STATES = {"person": "a person", "missing": "missing", "failed": "failed", "theirs": "in a program", "open": "waits"}


def _due(team: TeamMark) -> Content:
    """Office time until the reply target; told by sign and word, not by colour alone."""
    if team.left is None:
        return Content("")
    if team.left < 0:
        return shown(f"! {office_time(team.left)}", "$text-error")
    return shown(office_time(team.left), "$text-warning" if team.left < HOUR else "$text-muted")


def _held(reply: Reply, team: TeamMark, mark: Content) -> Content:
    """Who has it in hand, else who it is for, else how far it is."""
    if team.held_by:
        return line(f"{team.held_by} has it", "$text-warning")
    if reply.on_its_way or reply.writing:
        return mark
    state = _STATES.get(team.state, "")
    word = line(state, "$text-warning") if state and not reply.text else mark
    notes = shown(f" +{team.notes}", "$text-muted") if team.notes else Content("")
    whose = [line(team.assigned_to, "$text-muted"), shown(": ", "$text-muted")] if team.assigned_to else []
    return joined(*whose, word, notes)
