"""The terminal UI in a real terminal: what its driver writes, how it ends, and the main job through tmux."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from skipping import unavailable
from terminal import terminal

TESTS = Path(__file__).resolve().parent.parent
# What the driver itself may write: CSI and OSC sequences, BEL, BS, CR, LF, shifts. All else below U+0020 is not ours.
_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-9;:?<>=!$ \"']*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[PX^_][^\x1b]*\x1b\\"
    r"|[()#%][0-9A-Za-z]|[=>78cMEDHNOZ])"
)
_BIDI = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def sample(kind: str) -> tuple[str, str]:
    return str(TESTS / "sample_desk.py"), kind


def test_nothing_from_mail_or_model_reaches_the_terminal_as_more_than_text() -> None:
    with terminal(*sample("hostile")) as person:
        person.until(lambda: "Mallory" in person.screen, "the list")
        person.press("\r")
        person.until(lambda: "done" in person.screen, "the draft")
        for keys in ("o", "e", "\x1b", "a", "n", "p", "\x1b", "/", "evil", "\r", "i", "x", "\x1b", "u"):
            person.press(keys)
            person.read(0.5)
        assert person.process.poll() is None, "mail made it quit"
        assert "␛]52;c;" in person.written.decode()
        _nothing_forbidden(person.written)


def _nothing_forbidden(written: bytes) -> None:
    text = written.decode("utf-8")
    for payload in ("\x1b]52", "\x1b[31m", "\x1b]0;title"):
        assert payload not in text
    rest = _SEQUENCE.sub("", text)
    for character in set(rest):
        code = ord(character)
        assert code >= 0x20 or character in "\n\r\t\x07\x08\x0e\x0f", f"U+{code:04X} in {rest!r:.300}"
        assert not 0x7F <= code <= 0x9F, f"U+{code:04X}"
        assert unicodedata.bidirectional(character) not in _BIDI, f"U+{code:04X}"


def test_a_click_on_an_action_that_mail_wrote_does_nothing() -> None:
    with terminal(*sample("hostile")) as person:
        person.until(lambda: "click" in person.screen, "the thread")
        for row, line in enumerate(person.screen.split("\n"), start=1):
            column = line.find("[@click")
            if column >= 0:
                person.press(f"\x1b[<0;{column + 4};{row}M\x1b[<0;{column + 4};{row}m")
                person.read(0.2)
        person.read(0.5)
        assert person.process.poll() is None


@pytest.mark.parametrize("kind", ["stuck", ""])
def test_quitting_restores_the_terminal_even_during_a_call_that_never_answers(kind: str) -> None:
    with terminal(*sample(kind)) as person:
        person.until(lambda: "Anna Keller" in person.screen, "the list")
        person.press("\r")
        person.until(lambda: "Reply" in person.screen and "Guten Tag Frau Keller" in person.screen, "the draft")
        person.press("q")
        person.until(lambda: person.process.poll() is not None, "the end")
        assert person.process.returncode == 0
        assert b"Traceback" not in person.written and b"never awaited" not in person.written
        assert b"\x1b[?1049l" in person.written, "the alternate screen was left"
        assert b"\x1b[?25h" in person.written, "the cursor was shown again"


def test_a_termination_saves_and_restores_the_terminal() -> None:
    with terminal(*sample("")) as person:
        person.until(lambda: "Anna Keller" in person.screen, "the list")
        person.press("e")
        person.until(lambda: "Esc Done" in person.screen, "the editor")
        person.press("Hallo")
        person.until(lambda: "Hallo" in person.screen, "the text")
        person.process.terminate()
        person.until(lambda: person.process.poll() is not None, "the end")
        assert person.process.returncode == 0 and b"\x1b[?1049l" in person.written


@pytest.fixture
def settings(tmp_path: Path) -> tuple[str, ...]:
    """`--config` for a mailbox with nothing in it."""
    (tmp_path / "config.toml").write_text(
        f'data_folder = "{tmp_path}"\n[accounts.home]\naddress = "me@example.org"\nmaildir = "{tmp_path / "box"}"\n'
    )
    for part in ("cur", "new", "tmp"):
        (tmp_path / "box" / part).mkdir(parents=True)
    return "-m", "mailassist", "--config", str(tmp_path / "config.toml")


def test_the_ui_is_seen_while_standard_error_goes_to_a_file(settings: tuple[str, ...], tmp_path: Path) -> None:
    log = tmp_path / "log"
    with terminal(*settings, log=log) as person:
        person.until(lambda: "0 waiting" in person.screen, "the list")
        person.press("q")
        person.until(lambda: person.process.poll() is not None, "the end")
        assert person.process.returncode == 0 and b"\x1b[?1049l" in person.written
    assert log.read_bytes() == b""


@pytest.mark.parametrize("name", ["stdin", "stdout"])
def test_without_a_terminal_the_ui_says_what_to_use(settings: tuple[str, ...], name: str) -> None:
    import pty

    leader, follower = pty.openpty()
    streams = {"stdin": follower, "stdout": follower, "stderr": subprocess.PIPE, name: subprocess.DEVNULL}
    done = subprocess.run([sys.executable, *settings], **streams, check=False, timeout=60)  # type: ignore[call-overload]
    os.close(follower)
    os.close(leader)
    assert done.returncode == 15
    assert done.stderr.decode().splitlines() == [
        "mailassist: The review UI needs a terminal. Without one use `mailassist list` and `mailassist draft --latest`."
    ]


def test_without_colours_every_state_is_still_told() -> None:
    with terminal(*sample(""), environment={"NO_COLOR": "1"}) as person:
        person.until(lambda: "Anna Keller" in person.screen, "the list")
        person.press("\r")
        person.until(lambda: "draft ×3" in person.screen, "the mark")
        colours = {
            tuple(map(int, found)) for found in re.findall(rb"\x1b\[[0-9;]*38;2;(\d+);(\d+);(\d+)", person.written)
        }
        assert all(max(colour) - min(colour) <= 2 for colour in colours), "only shades of grey"


@pytest.fixture
def tmux() -> Iterator[Callable[..., str]]:
    """`tmux(...)` talks to a server of its own."""
    program = shutil.which("tmux")
    if program is None:
        unavailable("tmux is missing: apt-get install tmux, or brew install tmux")
    socket = f"mailassist-test-{os.getpid()}"

    def command(*arguments: str) -> str:
        done = subprocess.run([program, "-L", socket, "-f", os.devnull, *arguments], capture_output=True, check=False)
        return done.stdout.decode()

    yield command
    command("kill-server")


def test_from_the_sample_mailbox_to_a_delivered_reply_in_tmux(tmux: Callable[..., str], tmp_path: Path) -> None:
    configuration = tmp_path / "outline.toml"
    configuration.write_text('[model]\nname = "outline"\n')
    received = tmp_path / "received"
    run = f"{sys.executable} -m mailassist demo --config {configuration} --keep {received}"
    tmux("new-session", "-d", "-x", "80", "-y", "24", f"{run}; echo it ended with $?; sleep 60")

    def until(words: str) -> str:
        for _ in range(300):
            screen = tmux("capture-pane", "-p")
            if words in screen:
                return screen
            time.sleep(0.1)
        raise AssertionError(f"never: {words!r}\n{tmux('capture-pane', '-p')}")

    until("24 waiting")
    tmux("send-keys", "Enter")
    until("[answer]")
    tmux("send-keys", "e")
    until("Redo")
    tmux("send-keys", "Typed in tmux. ")
    tmux("send-keys", "Escape")
    until("edited, saved")
    tmux("send-keys", "a")
    until("gaps may still have to be filled in")
    tmux("send-keys", "y")
    until("u takes it back")
    tmux("send-keys", "q")
    until("send now")
    tmux("send-keys", "s")
    screen = until("it ended with 0")
    assert "Delivered to the sample SMTP server" in screen
    (reply,) = received.glob("*.eml")
    assert "Typed in tmux." in reply.read_text(encoding="utf-8")
