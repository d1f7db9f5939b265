"""Everything that the parts of the screen tell each other."""

from __future__ import annotations

from typing import Literal

from textual.message import Message

from mailassist.review.reply import Key

Severity = Literal["information", "warning", "error"]
Question = Literal["instruct", "search", "note", "hand over", "discard"]


class BoardChanged(Message):
    """Conversations came, went or changed their order."""

    def __init__(self, new: tuple[str, ...] = ()) -> None:
        """`new`: the correspondents of conversations that were not on the list before."""
        super().__init__()
        self.new = new


class ReplyChanged(Message):
    """What is known of one conversation or its reply changed."""

    def __init__(self, key: Key) -> None:
        """`key`: which conversation."""
        super().__init__()
        self.key = key


class Noticed(Message):
    """Something the person should read, in one line, with the cure where something failed."""

    def __init__(self, text: str, severity: Severity = "information") -> None:
        """`text` may come from anywhere: it is made safe where it is shown."""
        super().__init__()
        self.text = text
        self.severity = severity


class ConnectionChanged(Message):
    """The state of an account's connection, or how far a sync has come."""

    def __init__(self, account: str, text: str, ok: bool) -> None:
        """`text`: the state in few words; `ok`: whether the account can be reached."""
        super().__init__()
        self.account = account
        self.text = text
        self.ok = ok


class SpendingChanged(Message):
    """A call was paid for."""


class ConversationHighlighted(Message):
    """The cursor of the list moved."""

    def __init__(self, key: Key) -> None:
        """`key`: where to."""
        super().__init__()
        self.key = key


class ConversationChosen(Message):
    """A conversation was opened (Enter or click)."""

    def __init__(self, key: Key, *, write: bool = True) -> None:
        """`key`: which one; `write`: with a draft, where it has none."""
        super().__init__()
        self.key, self.write = key, write


class TextEdited(Message):
    """The person changed the text of the draft."""

    def __init__(self, text: str) -> None:
        """`text`: the whole text, as it is now."""
        super().__init__()
        self.text = text


class EditingEnded(Message):
    """The person is done with editing in place."""


class Answered(Message):
    """A question of the line at the bottom was answered, or changed while it is typed."""

    def __init__(self, question: Question, text: str, final: bool) -> None:
        """`final`: Enter was pressed."""
        super().__init__()
        self.question = question
        self.text = text
        self.final = final


class Dismissed(Message):
    """A question of the line at the bottom was left without an answer."""

    def __init__(self, question: Question) -> None:
        """`question`: which one."""
        super().__init__()
        self.question = question
