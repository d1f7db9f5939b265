"""`mailassist doctor`: what is wrong, and what to do about it."""

from __future__ import annotations

import click

from mailassist.cli.context import config_option, config_path
from mailassist.cli.output import dump_json, say

_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@click.command()
@click.option("--offline", is_flag=True, help="Ask no server.")
@click.option("--json", "as_json", is_flag=True, help="A list of {level, what, cure}.")
@config_option
def command(offline: bool, as_json: bool) -> int:
    """Check configuration, store, logins, folders and model; the cure stands below each finding.

    Exits with the code of the first failure, 0 when there is none.
    """
    from mailassist.doctor import examine

    findings = []
    for finding in examine(config_path(), online=not offline):
        findings.append(finding)
        if not as_json:
            say(f"{_MARKS[finding.level]}  {finding.what}")
            if finding.cure:
                say(f"      {finding.cure}")
    if as_json:
        dump_json([{"level": one.level, "what": one.what, "cure": one.cure} for one in findings])
    return next((one.exit_code or 1 for one in findings if one.level == "fail"), 0)
