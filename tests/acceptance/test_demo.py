"""What the README promises of `make demo ARGS=--once`."""

import os
import subprocess
import sys
from pathlib import Path


def test_the_demo_drafts_approves_and_delivers_one_reply(tmp_path: Path) -> None:
    environment = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ} | {"HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "mailassist", "demo", "--once", "--keep", str(tmp_path / "sent")],
        capture_output=True, text=True, env=environment, check=False, timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for promised in ("=== Draft", "Tokens:", "Cost:", "Delivered to the sample SMTP server", "250 "):
        assert promised in done.stdout
    (delivered,) = (tmp_path / "sent").glob("*.eml")
    raw = delivered.read_bytes()
    assert b"\nIn-Reply-To: <" in raw
    assert len(raw.partition(b"\r\n\r\n")[2].strip()) > 40
