"""Token counts: exact where the tokenizer is known, never too low where it is not."""

import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from mailassist.context.tokens import UpperEstimate, counter_for, warm_up

LETTERS = [
    "Could you please send me the signed contract until Friday? We would like to start on Monday morning.",
    "Könnten Sie mir bitte die überarbeitete Fassung des Vertrags schicken? Die Lieferung ist für März geplant.",
    "Je vous remercie de votre réponse et vous prie de m'envoyer la facture n° 2026-114 avant le 3 décembre.",
    "Здравствуйте! Подскажите, пожалуйста, когда будет готов договор?",
    "お世話になっております。請求書をもう一度送っていただけますか。",
    "SKU-4711 | 12,50 EUR | qty 3\nhttps://example.org/orders?id=9f8a7b6c5d4e3f2a1b0c#top",
    "aGVsbG8gd29ybGQgdGhpcyBpcyBiYXNlNjQgdGV4dCB3aXRob3V0IHNwYWNlcw==",
]


def test_counts_of_o200k_base_are_those_of_the_published_tokenizer() -> None:
    counter = counter_for("o200k_base")
    assert counter.exact
    assert [counter.count(text) for text in ("", "hello world", "antidisestablishmentarianism")] == [0, 2, 6]


def test_special_tokens_written_in_mail_are_counted_as_text() -> None:
    assert counter_for("o200k_base").count("<|endoftext|>") > 1


def test_an_unknown_tokenizer_is_estimated_and_says_so() -> None:
    assert not counter_for("some-vocabulary").exact


def test_the_estimate_is_above_the_count_of_a_real_vocabulary() -> None:
    exact, estimate = counter_for("o200k_base"), UpperEstimate()
    for text in LETTERS:
        assert exact.count(text) <= estimate.count(text) <= len(text.encode())


@given(st.text(alphabet=st.characters(min_codepoint=0x80, exclude_categories=["Cs"]), max_size=200))
def test_the_estimate_of_other_alphabets_is_a_true_bound(text: str) -> None:
    assert UpperEstimate().count(text) == len(text.encode())


def test_a_models_own_count_is_used_where_only_its_server_has_one() -> None:
    counter = counter_for("server", lambda text: len(text.split()))
    assert counter.exact
    assert counter.count("one two three") == 3


def test_a_count_during_warm_up_waits_for_the_tables() -> None:
    thread = warm_up("o200k_base")
    assert counter_for("o200k_base").count("hello") == 1
    thread.join()


def test_loading_that_the_end_of_the_program_overtakes_says_nothing() -> None:
    program = (
        "import time; from mailassist.context.loading import load_in_background as load\n"
        "def late():\n    time.sleep(0.3); raise RuntimeError('no imports any more')\n"
        "import threading; load('late', late); threading.Thread(target=time.sleep, args=(0.6,)).start()"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stderr == ""
