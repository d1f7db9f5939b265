"""Quotations are found in the messages that they are from, whatever marks stand around them."""

from conversations import message, talk, together

from mailassist.context.pack import pack
from mailassist.context.packed import Packed
from mailassist.context.tokens import counter_for
from mailassist.mail.message import Message
from mailassist.mail.quotes import split

EXACT = counter_for("o200k_base")
MARK = "482915037641"
OFFER = (
    "Hello Tom,\n\nWe can deliver the oak boards in the second week of May.\nThe price is 40 EUR a metre.\n\n"
    "Would Thursday suit you for a visit?\nAnd who pays for the lorry?\n\nBest regards\nAnna"
)


def written(number: int, text: str, *, ours: bool = False) -> Message:
    """A message whose text is split as a real one's."""
    parted = split(text)
    return message(
        number,
        parted.reply,
        ours=ours,
        text=text,
        quoted=parted.quoted,
        signature=parted.signature,
        blocks=parted.blocks,
    )


def packed(*messages: Message, budget: int = 5_000) -> Packed:
    return pack(together(messages), budget, EXACT, MARK)


def marked(text: str) -> str:
    return "\n".join(f"> {line}".rstrip() for line in text.split("\n"))


def test_of_a_quotation_that_is_answered_in_between_the_line_that_the_answer_needs_stays() -> None:
    first = OFFER.partition("\n\nWould")[0]
    answer = (
        f"On Mon, 16 Nov 2026 at 09:00, Anna Meyer wrote:\n{marked(first)}\n\nThat is fine with us.\n\n"
        f"{marked('Would Thursday suit you for a visit?')}\n\nYes, after ten.\n"
    )
    text = packed(written(0, OFFER), written(1, answer, ours=True)).messages[1].text
    assert text.split("\n\n") == [
        "> The price is 40 EUR a metre.",
        "That is fine with us.",
        "> Would Thursday suit you for a visit?",
        "Yes, after ten.",
    ]


def test_a_quotation_between_answers_stays_whole_with_its_author_where_its_original_is_missing() -> None:
    answer = (
        "On Sun, 15 Nov 2026 at 09:00, Eva Lang <eva@example.net> wrote:\n> The keys are with the porter.\n"
        "> He leaves at six.\n\nGood.\n\n> Is the lift working?\n\nSince Monday.\n"
    )
    text = packed(written(0, answer)).messages[0].text
    assert "Eva Lang" in text
    assert "> The keys are with the porter.\n> He leaves at six." in text
    assert text.index("> Is the lift working?") < text.index("Since Monday.")


def test_an_answer_between_unmarked_quoted_lines_is_seen_with_the_line_above_it() -> None:
    history = OFFER.replace("for a visit?\n", "for a visit?\nYes, at noon.\n")
    answer = (
        "See my answers below.\n\nFrom: Anna Meyer <anna@example.net>\nSent: Monday, November 16, 2026 9:00 AM\n"
        f"To: Tom Berg <tom@example.org>\nSubject: Offer\n\n{history}\n"
    )
    text = packed(written(0, OFFER), written(1, answer, ours=True)).messages[1].text
    assert text == "See my answers below.\n> Would Thursday suit you for a visit?\nYes, at noon."


def test_a_copy_of_an_earlier_message_that_nothing_marks_enters_once_and_what_was_changed_in_it_stays() -> None:
    changed = OFFER.replace("40 EUR", "35 EUR")
    for body, held in ((OFFER, 0), (changed, 1)):
        text = packed(written(0, OFFER), written(1, f"Agreed, please go ahead.\n\n{body}", ours=True)).messages[1].text
        assert text.startswith("Agreed, please go ahead.")
        assert text.count("35 EUR") == held
        assert text.count("second week of May") == held


def test_a_line_of_code_that_was_put_together_anew_is_its_authors() -> None:
    code = [f"value_{n} <- read(file_{n}, header = TRUE, skip = {n})" for n in range(9)]
    joined = [*code[:3], f"{code[3]} {code[4]}", *code[5:]]
    later = written(1, "This works:\n\n" + "\n".join(joined), ours=True)
    text = packed(written(0, "It fails:\n\n" + "\n".join(code)), later).messages[1].text
    assert joined[3] in text


def test_a_message_that_is_a_copy_as_a_whole_stays() -> None:
    texts = [one.text for one in packed(written(0, OFFER), written(1, OFFER)).messages]
    assert texts[-1].startswith("Hello Tom,")


def test_lines_that_come_again_in_one_message_are_counted() -> None:
    log = "\n".join(f"copying the file number {n} of the archive to the backup volume" for n in range(6))
    text = packed(written(0, f"It hangs:\n{log}\nretrying\n{log}\nWhy?")).messages[0].text
    assert text == f"It hangs:\n{log}\nretrying\n[6 lines as above]\nWhy?"


def test_a_short_answer_whose_original_is_missing_is_kept_and_a_name_at_the_end_is_not() -> None:
    quoted = f"{marked('Yes, do it.')}\n>\n{marked('We meet the surveyor at the gate at nine.')}\n>\n> Tom Berg"
    missing = message(1, "Fine.", quoted=f"On Sunday, Eva Lang wrote:\n{quoted}")
    text = packed(message(0, "Hello.", ours=True, signature="Tom Berg"), missing).messages[1].text
    assert "Yes, do it." in text and "at the gate at nine" in text
    assert "Tom Berg" not in text


def test_each_message_names_the_earlier_ones_that_it_quotes() -> None:
    answer = f"Fine.\n\nOn Mon, 16 Nov 2026 at 09:00, Anna Meyer wrote:\n{marked(OFFER)}\n"
    assert packed(written(0, OFFER), written(1, answer, ours=True)).sources == {"<1@test>": ("<0@test>",)}


def test_a_message_forwarded_within_its_own_conversation_enters_once() -> None:
    forward = (
        "---------- Forwarded message ---------\nFrom: Anna Meyer <anna@example.net>\n"
        f"Date: Mon, Nov 16, 2026 at 9:00 AM\nSubject: Offer\nTo: Tom Berg <tom@example.org>\n\n{OFFER}\n"
    )
    everything = "\n".join(one.text for one in packed(written(0, OFFER), written(1, forward)).messages)
    assert everything.count("second week of May") == 1


def test_a_fresh_conversation_quotes_nothing() -> None:
    assert pack(talk("Hello", "Hi"), 500, EXACT, MARK).sources == {}
