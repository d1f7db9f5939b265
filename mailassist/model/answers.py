"""What came from a model, judged: a whole answer, a part of one, or a failure that says what happened."""

from __future__ import annotations

from dataclasses import dataclass

from mailassist.model import errors, events
from mailassist.model.registry import Usage


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model wrote. Not `complete`: `reason` says why, in words for people; the text so far is kept."""

    text: str
    usage: Usage | None  # None: the server did not say
    model: str  # the registry's name of the model that wrote
    complete: bool
    reason: str = ""
    notices: tuple[str, ...] = ()


def judged(end: events.End, text: str, called: errors.Called, max_output: int) -> Answer:
    """The answer of `text` and how it ended; `max_output`: tokens that were asked for at most.

    Raises a subclass of errors.ModelCallFailed where nothing of it can be used.
    """
    if end.how == "completed" and text.strip():
        return Answer(text, end.usage, called.model, complete=True)
    if end.how == "refused":
        failed: errors.ModelCallFailed = errors.refused(called, end.text, text)
    elif end.how == "failed":
        failed = errors.explain_failure(end.code, end.text, called)
    elif end.how == "cut":
        failed = errors.OutputCutOff(
            f"{called.model} reached the limit of {max_output} tokens before the end",
            cure="Raise model.output_tokens, or ask for a shorter reply.",
        )
    else:
        how = "with no text" if end.how == "completed" else "before the answer was whole"
        failed = errors.BrokenAnswer(f"{called.host} ended {how}", cure="Try again; check base_url and model.api.")
    failed.usage = end.usage
    return broken(failed, text, called.model)


def broken(failed: errors.ModelCallFailed, text: str, model: str) -> Answer:
    """What came is kept: as an answer that is not complete; where nothing came, or it was refused, in the error."""
    failed.partial = text
    if not text or isinstance(failed, errors.ContentRefused):
        raise failed from None
    return Answer(text, failed.usage, model, complete=False, reason=str(failed))
