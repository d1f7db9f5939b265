"""One draft from mail to text, against a server with the model API's wire format."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from conversations import message, talk
from pydantic import SecretStr
from servers.model_api import ModelServer, Reply

from mailassist.cli import group
from mailassist.config import Config, Identity, ModelSettings
from mailassist.documents import Document, Picture
from mailassist.drafting.pipeline import Draft, DraftRequest, draft, prepare
from mailassist.errors import BudgetReached, MailassistError, NotDraftable
from mailassist.mail.message import Address
from mailassist.mail.threads import Conversation
from mailassist.model.client import Endpoint, Writer
from mailassist.model.errors import ModelCallFailed, WrongKey
from mailassist.model.registry import find
from mailassist.store.database import Store
from mailassist.store.ledger import entries

TOM = Identity(name="Tom Berg", address="tom@example.org", signature="Tom Berg\nExample Ltd")
NOW = 1_795_500_000.0  # 2026-11-24

EML = b"""From: Anna Meyer <anna@example.net>
To: Tom Berg <tom@example.org>
Subject: Offer
Date: Fri, 20 Nov 2026 09:14:00 +0100
Message-ID: <offer@example.net>
Bcc: secret@example.com
Content-Type: text/plain; charset=utf-8

Hello Tom,

when does the offer end? \xe2\x80\xaeEvil\xe2\x80\xac

Anna
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "data" / "mailassist.sqlite")
    yield opened
    opened.close()


@pytest.fixture
def drafted(model_server: ModelServer, store: Store) -> Callable[..., Draft]:
    """Draft with the model behind `model_server`."""

    def run(conversation: Conversation, **other: Any) -> Draft:
        config = other.pop("config", Config())
        request = DraftRequest(
            "work", conversation, TOM, **{k: other.pop(k) for k in ("instruction", "previous", "unknown") if k in other}
        )
        url = other.pop("base_url", model_server.base_url)
        writer = Writer(Endpoint(url, api="responses", key=SecretStr("k"), retries=0), find("gpt-4o-mini"))
        arguments: dict[str, Any] = {"on_text": lambda text: None, "stopped": lambda: False, **other}
        try:
            return draft(request, writer=writer, store=store, config=config, now=lambda: NOW, **arguments)
        finally:
            writer.close()

    return run


@pytest.mark.parametrize("api", ["responses", "chat"])
def test_pictures_go_along_inside_the_request_and_are_paid_for(
    model_server: ModelServer, store: Store, api: Any
) -> None:
    model_server.answers = [Reply("Dear Anna, thank you.", usage=None)]
    picture = Picture("photo.jpg", "image/jpeg", b"\xff\xd8jpeg", 1024, 768)
    documents = {"<0@test>": [Document("photo.jpg", "image/jpeg", "", "", (picture,))]}
    request = DraftRequest("work", talk("What is this?"), TOM, documents=documents)
    writer = Writer(Endpoint(model_server.base_url, api=api, key=SecretStr("k"), retries=0), find("gpt-4o-mini"))
    arguments: dict[str, Any] = {"on_text": lambda text: None, "stopped": lambda: False, "now": lambda: NOW}
    made = draft(request, writer=writer, store=store, config=Config(), **arguments)
    writer.close()
    assert made.prompt is not None
    body, url = model_server.requests[0].body, "data:image/jpeg;base64,/9hqcGVn"
    if api == "responses":
        assert body["input"] == [
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": url, "detail": "low"},
                    {"type": "input_text", "text": made.prompt.input},
                ],
            }
        ]
    else:
        assert body["messages"][1]["content"] == [
            {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
            {"type": "text", "text": made.prompt.input},
        ]
    (entry,) = entries(store)
    assert entry.input_tokens == made.prompt.tokens > 2_833


def test_pictures_are_left_out_before_the_days_budget_refuses_the_draft(store: Store) -> None:
    picture = Picture("photo.jpg", "image/jpeg", b"jpeg", 1024, 768)
    documents = {"<0@test>": [Document("photo.jpg", "image/jpeg", "", "", (picture,))]}
    request = DraftRequest("work", talk("What is this?"), TOM, documents=documents)
    for daily, sent in ((0.0018, 1), (0.0016, 0)):  # an answer may cost 0.0012, the picture costs 0.0004
        config = Config(model=ModelSettings(daily_budget=daily))
        made = prepare(request, info=find("gpt-4o-mini"), store=store, config=config, now=lambda: NOW)
        assert len(made.images) == sent


def test_the_prompt_shown_is_to_the_byte_what_reaches_the_model(
    model_server: ModelServer, drafted: Callable[..., Draft], store: Store
) -> None:
    talked = talk("Can you come on Tuesday?", "Why?", "To see the machine.\x1b]52;\u202e")
    shown = prepare(
        DraftRequest("work", talked, TOM, "say yes"),
        info=find("gpt-4o-mini"),
        store=store,
        config=Config(),
        now=lambda: NOW,
    )
    made = drafted(talked, instruction="say yes")
    (asked,) = model_server.requests
    assert (asked.body["instructions"], asked.body["input"]) == (shown.instructions, shown.input)
    assert made.prompt == shown


@pytest.mark.parametrize(("unknown", "said"), [(0, []), (1, ["1 earlier message"]), (3, ["3 earlier messages"])])
def test_earlier_messages_that_were_not_found_are_told(
    drafted: Callable[..., Draft], unknown: int, said: list[str]
) -> None:
    notices = drafted(talk("And now?"), unknown=unknown).notices
    assert [one.partition(" of ")[0] for one in notices if "could not be found" in one] == said


def test_nothing_that_came_by_mail_is_in_the_instructions(
    model_server: ModelServer, drafted: Callable[..., Draft]
) -> None:
    eve = Address("Obey Eve", "eve@example.com")
    drafted(talk(message(0, "Obey the text", subject="Obey the subject", from_=(eve,))))
    assert "Obey" not in model_server.requests[0].body["instructions"]


def test_the_delimiter_is_always_the_same_for_a_conversation_and_so_is_the_cache_key(
    model_server: ModelServer, drafted: Callable[..., Draft]
) -> None:
    drafted(talk("One?"))
    drafted(talk("One?", "Two.", "Three?"))
    drafted(talk(message(5, "Another conversation?", in_reply_to=())))
    keys = [request.body["prompt_cache_key"] for request in model_server.requests]
    marks = [str(request.body["input"]).split()[0] for request in model_server.requests]
    assert keys[0] == keys[1] != keys[2]
    assert marks[0] == marks[1] != marks[2]
    assert not any("test" in key or "work" in key for key in keys)


def test_the_models_text_is_cleaned_and_what_it_cost_is_in_the_ledger(
    model_server: ModelServer, drafted: Callable[..., Draft], store: Store
) -> None:
    wrapped = "```\nSubject: Re: Offer\n\nHello Anna,\n\nyes.\n\nBest\n\nTom Berg\nExample Ltd\n```"
    model_server.answers = [Reply(wrapped, usage=(1000, 400, 50))]
    pieces: list[str] = []
    made = drafted(talk("Is it ready?"), on_text=pieces.append)
    assert made.text == "Hello Anna,\n\nyes.\n\nBest"
    assert "".join(pieces) == wrapped
    assert made.complete
    assert made.cost == pytest.approx((600 * 0.15 + 400 * 0.075 + 50 * 0.6) / 1e6)
    (row,) = entries(store)
    assert (row.input_tokens, row.cached_tokens, row.output_tokens, row.messages) == (1000, 400, 50, 1)


def test_a_cut_off_draft_is_kept_and_marked(model_server: ModelServer, drafted: Callable[..., Draft]) -> None:
    model_server.answers = [Reply("Hello Anna,\n\nthe offer", how="cut")]
    made = drafted(talk("Is it ready?"))
    assert made.text == "Hello Anna,\n\nthe offer"
    assert not made.complete
    assert made.notices[0].startswith("The draft is not complete:")


def test_a_draft_that_is_stopped_is_incomplete(model_server: ModelServer, drafted: Callable[..., Draft]) -> None:
    model_server.answers = [Reply("one two three four five six seven eight", pause=0.2)]
    pieces: list[str] = []
    made = drafted(talk("Is it ready?"), on_text=pieces.append, stopped=lambda: len(pieces) >= 2)
    assert not made.complete
    assert made.text.startswith("one")
    assert "eight" not in made.text


def test_revising_sends_the_draft_so_far_and_the_wish(model_server: ModelServer, drafted: Callable[..., Draft]) -> None:
    drafted(talk("Can you come?"), previous="Hello Anna,\n\nI cannot come.", instruction="say why: holiday")
    said = str(model_server.requests[0].body["input"])
    assert said.index("I cannot come.") < said.rindex(" end\n") < said.index("say why: holiday")


def test_without_a_reachable_model_the_outline_drafts_and_says_why(drafted: Callable[..., Draft], store: Store) -> None:
    made = drafted(talk("Is it ready?"), base_url="http://127.0.0.1:1/v1")
    assert "Is it ready? [answer]" in made.text
    assert (made.model, made.cost, made.usage) == ("outline", 0.0, None)
    assert made.notices[0].startswith("No model wrote this: Nothing listens")
    assert made.failure is not None


def test_an_outline_never_takes_the_place_of_a_text_that_was_to_be_revised(drafted: Callable[..., Draft]) -> None:
    with pytest.raises(ModelCallFailed, match="Nothing listens"):
        drafted(talk("Is it ready?"), base_url="http://127.0.0.1:1/v1", previous="Yes, it is.", instruction="shorter")
    made = drafted(talk("Is it ready?"), base_url="http://127.0.0.1:1/v1", instruction="shorter")
    assert "An outline follows no instruction" in made.notices


def test_a_wrong_key_is_an_error_and_no_outline(model_server: ModelServer, drafted: Callable[..., Draft]) -> None:
    model_server.answers = [Reply(status=401, code="invalid_api_key")]
    with pytest.raises(WrongKey, match="does not accept the key"):
        drafted(talk("Is it ready?"))


def test_a_spent_budget_stops_the_call_before_it_is_made(
    model_server: ModelServer, drafted: Callable[..., Draft]
) -> None:
    with pytest.raises(BudgetReached):
        drafted(talk("Is it ready?"), config=Config(model=ModelSettings(daily_budget=0.0001)))
    assert model_server.requests == []


@pytest.mark.parametrize(
    ("change", "said"), [({"encrypted": "PGP/MIME"}, "encrypted"), ({"too_complex": True}, "too complex")]
)
def test_what_cannot_be_read_is_not_drafted(
    model_server: ModelServer, drafted: Callable[..., Draft], change: dict[str, Any], said: str
) -> None:
    with pytest.raises(NotDraftable, match=said):
        drafted(talk(replace(message(0, "x"), **change)))
    assert model_server.requests == []


def test_an_empty_message_from_nobody_is_not_drafted(drafted: Callable[..., Draft]) -> None:
    with pytest.raises(NotDraftable, match="neither a sender nor a text"):
        drafted(talk(message(0, "", from_=())))


def test_there_is_nothing_to_draft_where_all_is_ours(drafted: Callable[..., Draft]) -> None:
    with pytest.raises(NotDraftable):
        drafted(talk(message(0, "Hello?", ours=True)))


def test_the_person_is_told_what_was_odd_about_the_mail(drafted: Callable[..., Draft]) -> None:
    odd = message(
        0, "Pay?", hidden=("abc", "de"), warnings=("homograph: x",), reply_to=(Address("", "eve@example.com"),)
    )
    notices = drafted(talk(replace(odd, headers={"precedence": ("bulk",)}))).notices
    assert notices[0].startswith("Perhaps nobody waits for this answer:")
    assert "homograph: x" in notices
    assert "5 hidden characters removed" in notices
    assert any("eve@example.com" in notice for notice in notices)


@pytest.fixture
def run(model_server: ModelServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """`mailassist ...` with a configuration without accounts."""
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    file = tmp_path / "config.toml"
    file.write_text(
        f'data_folder = "{tmp_path / "data"}"\n[model]\nbase_url = "{model_server.base_url}"\napi = "responses"\n'
        '[model.key]\nkeyring = false\npassword_env = "OPENAI_API_KEY"\n'
    )

    def invoke(*arguments: str, config: Path = file, mail: bytes = EML) -> Result:
        return CliRunner().invoke(group, ["--config", str(config), *arguments], input=mail)

    return invoke


def test_draft_of_a_file_shows_the_prompt_and_calls_nobody(
    run: Callable[..., Result], model_server: ModelServer, tmp_path: Path
) -> None:
    (tmp_path / "a.eml").write_bytes(EML)
    result = run("draft", str(tmp_path / "a.eml"), "--show-prompt", "--json")
    assert result.exit_code == 0, result.output
    shown = json.loads(result.stdout)
    assert shown["tokens"] == shown["instruction_tokens"] + shown["input_tokens"] + shown["frame_tokens"]
    assert "in the name of Tom Berg" in shown["instructions"]
    assert "when does the offer end?" in shown["input"]
    assert "secret@example.com" not in result.output
    assert shown["price"] == pytest.approx(shown["tokens"] * 0.15 / 1e6)
    assert model_server.requests == []
    plain = run("draft", str(tmp_path / "a.eml"), "--show-prompt").stdout
    assert f"total: {shown['tokens']} tokens" in plain
    assert shown["input"] in plain
    assert shown["instructions"] in plain


def test_draft_of_standard_input_sends_what_show_prompt_showed(
    run: Callable[..., Result], model_server: ModelServer
) -> None:
    shown = json.loads(run("draft", "-", "--show-prompt", "--json", "--instruct", "until May").stdout)
    model_server.answers = [Reply("Hello Anna,\n\nin May.\x1b[2J\n\nBest")]
    result = run("draft", "-", "--json", "--instruct", "until May")
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert made["text"] == "Hello Anna,\n\nin May.[2J\n\nBest"
    assert made["answers"] == "<offer@example.net>"
    assert made["complete"]
    (asked,) = model_server.requests
    assert (asked.body["instructions"], asked.body["input"]) == (shown["instructions"], shown["input"])


def test_the_language_of_the_option_takes_the_place_of_theirs(run: Callable[..., Result]) -> None:
    shown = json.loads(run("draft", "-", "--show-prompt", "--json").stdout)
    assert shown["language"] == "en" and ", in English" in shown["input"]
    shown = json.loads(run("draft", "-", "--show-prompt", "--json", "--language", "pt-BR").stdout)
    assert shown["language"] == "pt-BR" and ", in Portuguese (pt-BR)" in shown["input"]


def test_a_file_is_answered_to_the_same_people_as_a_mailbox(run: Callable[..., Result], tmp_path: Path) -> None:
    file, config = tmp_path / "all.eml", tmp_path / "accounts.toml"
    people = b"To: Tom Berg <tom@example.org>, Ben <ben@example.net>\nCc: team@example.org, Eva <eva@example.com>"
    file.write_bytes(EML.replace(b"To: Tom Berg <tom@example.org>", people))
    config.write_text(
        f'data_folder = "{tmp_path / "data"}"\n[accounts.home]\naddress = "tom@example.org"\nmaildir = "{tmp_path}"\n'
        '[[accounts.home.identities]]\naddress = "tom@example.org"\naliases = ["team@example.org"]\n'
    )
    draft = ("draft", str(file), "--json", "--model", "outline")
    alone = json.loads(run(*draft).stdout)
    assert (alone["to"], alone["cc"]) == (["Anna Meyer <anna@example.net>"], [])
    assert (alone["subject"], alone["in_reply_to"]) == ("Re: Offer", "<offer@example.net>")
    everybody = json.loads(run(*draft, "--reply-all", config=config).stdout)
    assert everybody["to"] == ["Anna Meyer <anna@example.net>"]
    assert everybody["cc"] == ["Ben <ben@example.net>", "Eva <eva@example.com>"]
    assert "tom@example.org" not in json.loads(run(*draft, "--reply-all").stdout)["cc"]


def test_where_only_a_person_can_choose_whom_to_answer_the_draft_names_nobody(run: Callable[..., Result]) -> None:
    two = EML.replace(b"<anna@example.net>", b"<anna@example.net>, Eve <eve@example.net>")
    result = run("draft", "-", "--json", "--model", "outline", mail=two)
    told = json.loads(result.stdout)
    assert told["to"] == [] and any("multiple From" in notice for notice in told["notices"])


def test_the_outline_needs_no_key_and_no_network(run: Callable[..., Result], model_server: ModelServer) -> None:
    result = run("draft", "-", "--model", "outline")
    assert result.exit_code == 0, result.output
    assert "when does the offer end?" in result.stdout
    assert model_server.requests == []


def test_a_template_beside_the_configuration_is_used(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "system.j2").write_text("Be brief. Data follows {{ delimiter }}.")
    shown = json.loads(run("draft", "-", "--show-prompt", "--json").stdout)
    assert shown["instructions"].startswith("Be brief.")


def test_pack_gives_the_shape_that_other_programs_rely_on(run: Callable[..., Result], tmp_path: Path) -> None:
    second = EML.replace(b"<offer@", b"<second@").replace(
        b"Subject: Offer", b"Subject: Re: Offer\nIn-Reply-To: <offer@example.net>"
    )
    (tmp_path / "box").write_bytes(
        b"From x Thu Jan  1 00:00:00 2026\n" + EML + b"\nFrom x Thu Jan  1 00:00:00 2026\n" + second
    )
    for wanted in ("<offer@example.net>", "second@example.net"):
        result = run("pack", str(tmp_path / "box"), "--thread", wanted, "--budget", "600", "--json")
        assert result.exit_code == 0, result.output
        packed = json.loads(result.stdout)
        assert {"tokens", "messages", "documents", "images", "left_out", "open_asks"} <= set(packed)
        assert (packed["language"], packed["exact"]) == ("en", True)
        assert [part["message_id"] for part in packed["messages"]] == ["<offer@example.net>", "<second@example.net>"]
        assert set(packed["messages"][0]) == {"message_id", "header", "level", "text", "tokens", "quotes"}
        assert {part["level"] for part in packed["messages"]} == {"whole"} and packed["missing"] == 0
        assert packed["price"] > 0 and len(packed["sentences"]) == 2
        assert sum(part["tokens"] for part in packed["messages"]) < packed["tokens"] <= 600
        assert "secret@example.com" not in result.output


BUSY = (
    "The printer on the second floor was cleaned again and works. The colleagues from the workshop asked for more "
    "paper, which is under way. The lorry came late because of the snow. The old boards are stacked behind the shed. "
)


@pytest.fixture
def long_box(tmp_path: Path) -> Path:
    """A conversation far over a small budget: in the middle of its third message stands what the last one asks."""
    told = {2: f"Hello Tom,\n\n{BUSY * 3}\n\nThe code of the garage door is 7741.\n\n{BUSY * 3}\n\nAnna"}
    told[39] = "Hello Tom,\n\nwhat was the code of the garage door?\n\nAnna"
    with (tmp_path / "long").open("w") as box:
        for number in range(40):
            people = ("Anna Meyer <anna@example.net>", "Tom Berg <tom@example.org>")
            writer, reader = people if number in told else people[:: 1 if number % 2 else -1]
            parent = f"<{number - 1}@long>" if number else "<gone@long>"
            day = f"{1 + number % 28} {'Oct' if number < 28 else 'Nov'} 2026 10:00 +0000"
            text = told.get(number, f"Hello,\n\nnote {number}. {BUSY * 4}")
            box.write(
                f"From x Thu Jan  1 00:00:00 2026\nFrom: {writer}\nTo: {reader}\nSubject: Work\nDate: {day}\n"
                f"Message-ID: <{number}@long>\nIn-Reply-To: {parent}\n\n{text}\n\n"
            )
    return tmp_path / "long"


def test_what_pack_tells_of_the_messages_holds_everything_of_the_mail_that_the_model_sees(
    run: Callable[..., Result], long_box: Path
) -> None:
    result = run("pack", str(long_box), "--thread", "<39@long>", "--budget", "1500", "--json")
    assert result.exit_code == 0, result.output
    packed = json.loads(result.stdout)
    parts = {part["message_id"]: part for part in packed["messages"]}
    order = [int(one.strip("<>").partition("@")[0]) for one in parts]
    assert len(parts) == len(packed["messages"]) and order == sorted(order)
    assert "7741" in parts["<2@long>"]["text"], parts["<2@long>"]
    assert {"whole", "summary", "excerpt"} <= {part["level"] for part in packed["messages"]}
    assert (parts["<2@long>"]["level"], parts["<39@long>"]["level"]) == ("excerpt", "whole")
    mail = packed["tokens"] - packed["instruction_tokens"]
    assert 0 < mail - sum(part["tokens"] for part in packed["messages"]) < 150  # the request behind the mail
    assert packed["missing"] == 1


def test_the_human_form_of_pack_names_people_and_days_and_no_message_ids(
    run: Callable[..., Result], long_box: Path
) -> None:
    result = run("pack", str(long_box), "--thread", "<39@long>", "--budget", "1500")
    assert result.exit_code == 0, result.output
    for words in (
        "tokens, exact: instructions ",
        "Sun 8 Nov Anna Meyer · ",
        ", in short\n",
        ", excerpt\n",
        "Anna Meyer, Thu 12 Nov: what was the code of the garage door?",
        "--- Left out: over the token budget\n",
        "Anna Meyer, Sat 3 Oct: “Hello Tom, The printer on the second floor was cleaned agai…” (but for excerpts)\n",
        "--- Could not be found\nwhat was answered by Tom Berg, Thu 1 Oct\n",
    ):
        assert words in result.output, (words, result.output)
    assert "@long" not in result.output


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("draft", "no-such-file.eml"), 15),
        (("draft", "-", "--latest"), 2),
        (("draft", "-", "--save"), 2),
        (("draft", "-", "--language", "in French\n"), 2),
        (("draft", "--latest"), 3),
        (("pack", ".", "--thread", "<x@y>"), 15),
    ],
)
def test_each_wrong_use_has_its_own_error(run: Callable[..., Result], arguments: tuple[str, ...], code: int) -> None:
    result = run(*arguments)
    error = result.exception
    assert (error.exit_code if isinstance(error, MailassistError) else result.exit_code) == code, result.output
