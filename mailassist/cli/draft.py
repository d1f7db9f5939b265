"""`mailassist draft`: one reply, or the prompt that would ask for it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import click

from mailassist.cli.context import (
    READ_AT_MOST,
    config_option,
    config_path,
    configured_or_default,
    own_addresses,
    read_message_file,
)
from mailassist.cli.output import dump_json, say, warn
from mailassist.errors import ConfigError, MailassistError, ModelError

if TYPE_CHECKING:
    from mailassist.config import Account, Config, Identity
    from mailassist.desk import Desk
    from mailassist.drafting.pipeline import Draft, DraftRequest
    from mailassist.drafting.prompt import Prompt
    from mailassist.intake.pull import Pulled
    from mailassist.mail.message import Message
    from mailassist.mail.recipients import ReplyPlan


@dataclass(frozen=True, slots=True)
class _Task:
    """What is to be drafted, to whom, and, for a mailbox, what is needed to keep it."""

    request: DraftRequest
    plan: ReplyPlan
    account: str = ""  # "": a file, no mailbox
    pulled: Pulled | None = None
    notices: tuple[str, ...] = ()  # of how it was read


@click.command()
@click.argument("file", metavar="[FILE.eml|-]", required=False)
@click.option("--account", default="", metavar="A", help="The account, by name or address.")
@click.option("--thread", "message_id", metavar="MESSAGE-ID", help="Any message of the conversation to answer.")
@click.option("--latest", is_flag=True, help="The conversation that began to wait last (the default).")
@click.option("--instruct", "instruction", default="", metavar="TEXT", help='What you want, e.g. "shorter; say no".')
@click.option("--reply-all", is_flag=True, help="To all who are in the conversation, not to the sender alone.")
@click.option("--language", default="", metavar="CODE", help='Write in this language, e.g. "fr" [as they wrote].')
@click.option("--model", default="", metavar="NAME", help="Another model than the configured one.")
@click.option(
    "--show-prompt", is_flag=True, help="Print exactly what would be sent, its tokens and price; call nobody."
)
@click.option("--save", is_flag=True, help="Keep the draft, and append it to the Drafts folder.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@config_option
@click.pass_context
def command(
    ctx: click.Context,
    file: str | None,
    account: str,
    message_id: str | None,
    latest: bool,
    instruction: str,
    reply_all: bool,
    language: str,
    model: str,
    show_prompt: bool,
    save: bool,
    as_json: bool,
) -> None:
    """Draft one reply: to a conversation of a mailbox, or to a message in a file ("-": standard input).

    The draft goes to standard output, everything else to standard error. Nothing is sent to anybody but the model.
    """
    if sum((file is not None, message_id is not None, latest)) > 1:
        raise click.UsageError("Use one of --thread, --latest and FILE.")
    if file is not None and save:
        raise click.UsageError("--save needs a mailbox; a FILE has none.")
    if show_prompt and save:
        raise click.UsageError("--show-prompt calls nobody: there is no draft to --save.")
    desk = _desk(model, file is not None)
    ctx.call_on_close(desk.close)
    _warm_up(desk, show_prompt)
    if file is not None:
        task = _of_file(desk, file, account, reply_all)
    else:
        task = _of_mailbox(desk, account, message_id, reply_all)
    wished = replace(task.request, instruction=instruction, reply_all=reply_all, language=_checked_code(language))
    task = replace(task, request=wished)
    if show_prompt:
        _show_prompt(desk, task, desk.prepare(task.request), as_json)
        return
    made = desk.write(task.request, on_text=lambda text: None, stopped=lambda: False)
    try:
        saved = _save(desk, task, made, instruction) if save else ""
    except MailassistError:
        _show_draft(task, made, "", as_json)  # it is written and paid for, wherever it could not be put
        raise
    _show_draft(task, made, saved, as_json)
    if made.failure is not None:
        ctx.exit(made.failure.exit_code)
    if not made.complete:
        ctx.exit(ModelError.exit_code)


def _desk(model: str, config_is_optional: bool) -> Desk:
    from mailassist.cli.context import load_config
    from mailassist.desk import Desk

    config: Config = configured_or_default() if config_is_optional else load_config()
    if model:
        config = config.model_copy(update={"model": config.model.model_copy(update={"name": model})})
    return Desk(config, config_path=config_path())


def _warm_up(desk: Desk, show_prompt: bool) -> None:
    """Load in threads what is needed once the mail is here: it would cost more than the mail itself."""
    from mailassist.context.loading import load_in_background
    from mailassist.drafting.pipeline import OUTLINE, warm_up

    if desk.config.model.name == OUTLINE and not show_prompt:
        return
    warm_up(desk.models.info()[0])
    if not show_prompt:
        from mailassist.model import connection

        load_in_background("load-model-client", connection.warm_up)


def _checked_code(language: str) -> str:
    """`language` where it can be a BCP 47 code; it stands in the prompt."""
    if language and not re.fullmatch("[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,3}", language):
        raise click.BadParameter("it is a code such as de or pt-BR.", param_hint="--language")
    return language


def _of_mailbox(desk: Desk, account: str, message_id: str | None, reply_all: bool) -> _Task:
    name, _ = desk.config.account(account)
    pulled = desk.pull(name, f"<{message_id.strip().strip('<>')}>") if message_id is not None else desk.latest(name)
    return _Task(desk.request(name, pulled), desk.plan(name, pulled, reply_all), name, pulled)


def _of_file(desk: Desk, file: str, account: str, reply_all: bool) -> _Task:
    """The message alone is the conversation; who answers is who it was written to."""
    from mailassist.desk.attachments import read
    from mailassist.drafting.pipeline import DraftRequest
    from mailassist.mail.addresses import OwnAddresses
    from mailassist.mail.parse import parse_message
    from mailassist.mail.recipients import plan_reply
    from mailassist.mail.threads import thread

    raw, cut = read_message_file(file)
    message = parse_message(raw)
    accounts = _accounts(desk.config, account)
    own = own_addresses(accounts)
    conversation = thread([message], own)[0]
    faces = [face for one in accounts for face in one.faces]
    if not faces:
        faces = [_first_recipient(message)]
        own = OwnAddresses.of([(faces[0].address, [])])
    plan = plan_reply(conversation, message, own, faces, reply_all=reply_all)
    told = (f"Only the first {READ_AT_MOST:,} bytes of the message were read",) if cut else ()
    documents = read([message], {message.message_id: raw}) if desk.reads_attachments else {}
    request = DraftRequest("", conversation, faces[plan.identity], documents=documents)
    return _Task(request, plan, notices=told)


def _accounts(config: Config, account: str) -> list[Account]:
    """`account`, or all accounts."""
    if account and not config.accounts:
        raise ConfigError("No account is configured", cure="Run `mailassist setup you@example.org`.")
    return [config.account(account)[1]] if account else [*config.accounts.values()]


def _first_recipient(message: Message) -> Identity:
    """Who answers where no account is configured."""
    from mailassist.config import Identity

    first = next(iter((*message.to, *message.cc)), None)
    return Identity(name=first.name if first else "", address=first.email if first else "me")


def _save(desk: Desk, task: _Task, made: Draft, instruction: str) -> str:
    """Keep the draft in the store, and in the Drafts folder if it is whole; where it lies, in one line."""
    assert task.pulled is not None
    desk.keep(task.account, task.pulled, made, instruction)
    if not made.complete:
        return "Kept here only, not in Drafts: it is not complete"
    return desk.approve(task.account, task.pulled, task.plan, made.text, "drafts").said


def _show_prompt(desk: Desk, task: _Task, prompt: Prompt, as_json: bool) -> None:
    from mailassist.drafting.attachments import picture_line
    from mailassist.drafting.budget import upper_bound
    from mailassist.drafting.pipeline import notices, output_tokens

    info, notice = desk.models.info()
    most = output_tokens(desk.config, info)
    told = [*([notice] if notice else []), *task.notices, *notices(task.request)]
    shown = {
        "model": info.name,
        "instructions": prompt.instructions,
        "input": prompt.input,
        "tokens": prompt.tokens,
        "instruction_tokens": prompt.instruction_tokens,
        "input_tokens": prompt.input_tokens,
        "frame_tokens": prompt.frame_tokens,
        "exact": prompt.exact,
        "language": prompt.language,
        "price": prompt.estimated_price,
        "max_output_tokens": most,
        "max_price": upper_bound(info, prompt.tokens, most) if info.priced else None,
        "left_out": [{"message_id": part.message_id, "why": part.why} for part in prompt.packed.left_out],
        "images": [
            {
                "name": one.picture.name,
                "width": one.picture.width,
                "height": one.picture.height,
                "detail": one.detail,
                "tokens": one.tokens,
                "price": one.price,
            }
            for one in prompt.images
        ],
        "notices": told,
    }
    if as_json:
        dump_json(shown)
        return
    for title, text, tokens in (
        ("instructions", prompt.instructions, prompt.instruction_tokens),
        ("input", prompt.input, prompt.input_tokens),
    ):
        say(f"--- {title}: {tokens} tokens")
        say(text)
    for number, one in enumerate(prompt.images, 1):
        say(f"--- image {number}, in front of the input: {picture_line(one)}")
    say(f"--- {_price_line(shown)}")
    for line in told:
        warn(line)


def _price_line(shown: dict[str, Any]) -> str:
    """Tokens and price in one line."""
    how = "" if shown["exact"] else " (upper estimate)"
    counted = f"total: {shown['tokens']} tokens{how}, {shown['frame_tokens']} of them the chat format"
    if shown["price"] is None:
        return f"{counted}; {shown['model']}, price not known"
    return (
        f"{counted}; {shown['model']}: ${shown['price']:.6f}, "
        f"with an answer of up to {shown['max_output_tokens']} tokens at most ${shown['max_price']:.6f}"
    )


def _show_draft(task: _Task, made: Draft, saved: str, as_json: bool) -> None:
    answered = task.request.conversation.newest_from_others
    plan, usage = task.plan, made.usage
    notices = [*dict.fromkeys((*task.notices, *made.notices, *plan.notes, *plan.needs_confirmation))]
    if as_json:
        dump_json(
            {
                "account": task.account,
                "answers": answered.message.message_id if answered else "",
                "to": [str(address) for address in plan.to],
                "cc": [str(address) for address in plan.cc],
                "subject": plan.subject,
                "in_reply_to": plan.in_reply_to,
                "model": made.model,
                "text": made.text,
                "complete": made.complete,
                "usage": {"input": usage.input, "cached": usage.cached, "output": usage.output} if usage else None,
                "cost": made.cost,
                "notices": notices,
                "saved": saved,
                "error": str(made.failure) if made.failure else "",
            }
        )
        return
    for notice in (*notices, saved):
        if notice:
            warn(notice)
    say(made.text)
    if usage:
        warn(f"{made.model}: {usage.input} + {usage.output} tokens ({usage.cached} cached), ${made.cost:.6f}")
