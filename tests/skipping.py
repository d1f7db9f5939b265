"""What a test does that lacks a program it needs."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip this test and say how to get what it needs; where nothing may be skipped (CI), fail."""
    if os.environ.get("MAILASSIST_TESTS_MUST_NOT_SKIP"):
        pytest.fail(f"must not be skipped here: {reason}", pytrace=False)
    pytest.skip(reason)
