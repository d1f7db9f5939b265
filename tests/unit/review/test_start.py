"""The first screen appears before anything heavy is loaded."""

from __future__ import annotations

import subprocess
import sys


def test_the_ui_opens_without_model_mail_and_database_libraries() -> None:
    program = "import sys, mailassist.review.app; print(' '.join(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"openai", "bpe_openai", "imapclient", "sqlalchemy", "jinja2", "keyring", "selectolax", "xllamacpp"}
    assert heavy.isdisjoint(loaded)
