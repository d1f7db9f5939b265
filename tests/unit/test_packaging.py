"""The systemd unit and the Dockerfile: as strict as they say, and such that the daemon's parts work under them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from skipping import unavailable

from mailassist.daemon.health import Health
from mailassist.errors import ConfigError, SecretError

TOP = Path(__file__).parents[2]
UNIT = TOP / "packaging" / "systemd" / "mailassist.service"
DOCKERFILE = (TOP / "packaging" / "Dockerfile").read_text(encoding="utf-8")
MOST_EXPOSED = 20  # of 100: 2.0 on systemd's scale, where less is safer

# Every compiled library that the daemon loads, under the kernel's own refusal to make written memory executable (the
# unit's MemoryDenyWriteExecute=), with one call into those that might make code at run time.
MEMORY = """
import ctypes, errno, importlib, mmap, sys
if ctypes.CDLL(None, use_errno=True).prctl(65, 1, 0, 0, 0) != 0:  # PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN
    sys.exit(77)
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
except PermissionError:
    pass
else:
    sys.exit("the kernel does not refuse it")
for name in sys.argv[1:]:
    importlib.import_module(name)
import pypdfium2, ssl, sqlite3
from PIL import Image
from selectolax.lexbor import LexborHTMLParser
document = pypdfium2.PdfDocument.new()
page = document.new_page(100, 100)
assert page.render(scale=1).to_pil().size == (100, 100)
page.close(); document.close()
assert Image.new("RGB", (64, 64)).resize((8, 8)).size == (8, 8)
assert LexborHTMLParser("<p>a").text() == "a"
assert sqlite3.connect(":memory:").execute("SELECT json_extract('[7]', '$[0]')").fetchone() == (7,)
ssl.create_default_context()
import bpe_openai
assert len(bpe_openai.get_encoding("o200k_base").encode_ordinary("some words")) == 2
assert ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 3)() == 3
"""
COMPILED = [
    "pydantic_core", "sqlalchemy", "sqlite3", "psycopg", "procrastinate", "alembic", "openai", "bpe_openai", "eld",
    "selectolax.lexbor", "PIL.Image", "pypdfium2", "openpyxl", "keyring", "holidays", "mailassist.documents.worker",
    "mailassist.desk", "mailassist.daemon.health", "mailassist.daemon.people",
]  # fmt: skip


def systemd_analyze(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    if program is None:
        unavailable("systemd-analyze is needed: apt install systemd")
    return subprocess.run([program, *words], capture_output=True, text=True, timeout=60, check=False)


def test_systemd_calls_the_unit_safe() -> None:
    words = ("--offline=yes", f"--threshold={MOST_EXPOSED}", "--no-pager", str(UNIT))
    done = systemd_analyze("security", *words)
    assert done.returncode == 0, done.stdout[-300:]
    assert re.search(r"Overall exposure level for mailassist\.service: [01]\.\d OK", done.stdout)


def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """Where the program lies is the machine's: an executable of this one stands for it."""
    text = UNIT.read_text(encoding="utf-8")
    here = tmp_path / UNIT.name
    here.write_text(text.replace("/opt/mailassist/bin/mailassist", sys.executable), encoding="utf-8")
    done = systemd_analyze("verify", "--man=no", str(here))
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_units_numbers_are_those_of_the_program() -> None:
    text = UNIT.read_text(encoding="utf-8")
    assert f"RestartPreventExitStatus={ConfigError.exit_code} {SecretError.exit_code}" in text
    for name in ("support", "model", "team", "audit"):
        assert f"#LoadCredentialEncrypted=mailassist.{name}:" in text


def test_no_library_needs_memory_that_is_written_and_executed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, *COMPILED], capture_output=True, text=True, timeout=120, check=False, cwd=TOP
    )
    if done.returncode == 77:
        unavailable("Linux 6.3 or newer is needed for PR_SET_MDWE")
    assert done.returncode == 0, done.stderr[-2000:]


def instructions() -> list[tuple[str, str]]:
    """(word, rest) of each instruction of the Dockerfile, continued lines joined."""
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
    return [(word, rest) for word, _, rest in (line.strip().partition(" ") for line in lines) if word]


def test_the_image_runs_as_nobody_special_holds_no_secret_and_takes_any_base() -> None:
    found = instructions()
    assert found[0][0] == "ARG" and found[0][1].startswith("BASE=")
    assert {rest.split()[0] for word, rest in found if word == "FROM"} == {"${BASE}"}
    last = max(number for number, (word, _) in enumerate(found) if word == "FROM")
    final = found[last:]
    assert ("USER", "10001:10001") in final
    assert not [word for word, _ in found if word == "ADD"]
    said = [rest for word, rest in found if word in ("ARG", "ENV")]
    assert not re.search(r"(?i)(password|token|api_?key)\s*=", "\n".join(said))
    for word, rest in found[:last]:
        if word == "COPY":
            for name in rest.split()[:-1]:
                assert (TOP / name).exists(), name


def test_only_what_is_copied_goes_into_the_build() -> None:
    ignored = (TOP / "packaging" / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    allowed = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        name
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for name in rest.split()[:-1]
    }
    assert "*" in ignored
    assert allowed == copied


def test_the_images_health_check_asks_the_health_port() -> None:
    (check,) = [rest for word, rest in instructions() if word == "HEALTHCHECK"]
    program, *words = json.loads(check[check.index("[") :])
    assert program == "python"
    age = [0.0]
    health = Health("127.0.0.1:0", pytest.fail, since_progress=lambda: age[0])
    try:
        command = [sys.executable, *(word.replace("9464", str(health.port)) for word in words)]
        assert subprocess.run(command, timeout=60, check=False).returncode == 0
        age[0] = 1000.0
        assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode != 0
    finally:
        health.close()
