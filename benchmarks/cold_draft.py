"""`draft --latest --show-prompt` with nothing cached: commands, and seconds over loading its libraries."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from imapclient import IMAPClient

from benchmarks.mailbox import OWNER, served
from benchmarks.measuring import interleaved, median, report
from tests.servers import dovecot
from tests.servers.counting import CountingProxy

MOST_COMMANDS = 16
MOST_SECONDS = 0.6  # over loading
MOST_RATIO = 1.3  # of the whole, large mailbox to small one

# What the command has loaded at its end, but none of our own modules.
_LIST_MODULES = """
import atexit, sys
def listed():
    ours = [name for name in sys.modules if not name.startswith(("mailassist", "_")) and name != "listed"]
    open({path!r}, "w").write("\\n".join(ours))
atexit.register(listed)
sys.argv = {argv!r}
from mailassist.cli import main
main()
"""
_LOAD = """
import importlib, sys
for name in open({path!r}).read().split():
    try:
        importlib.import_module(name)
    except ImportError:
        pass
import bpe_openai
len(bpe_openai.get_encoding("o200k_base").encode("warm"))
from mailassist.context.language import detect
detect("When can we expect the delivery of it?")
"""


def run(arguments: list[str]) -> None:
    """`arguments`: small and large mailbox (20,000 and 100,000), rounds (7)."""
    small, large, rounds = [*map(int, arguments), *(20_000, 100_000, 7)[len(arguments) :]]
    with ExitStack() as stack:
        boxes = [stack.enter_context(served(count, now=time.time())) for count in (small, large)]
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        proxies = [stack.enter_context(CountingProxy(server.host, server.port)) for server, _ in boxes]
        for (server, user), proxy in zip(boxes, proxies, strict=True):
            _draft(folder, proxy, user)  # Dovecot writes its index files, Python its byte code
            naive(server.host, server.port, user)
        modules = folder / "modules"
        _modules(folder, proxies[0], boxes[0][1], modules)
        commands = _counted(folder, proxies[0], boxes[0][1])
        seconds = interleaved(
            rounds,
            small=lambda: _draft(folder, proxies[0], boxes[0][1]),
            large=lambda: _draft(folder, proxies[1], boxes[1][1]),
            loading=lambda: _python(_LOAD.format(path=str(modules))),
            naive=lambda: naive(boxes[0][0].host, boxes[0][0].port, boxes[0][1]),
        )
    whole, loading = median(seconds["small"]), median(seconds["loading"])
    print(" ".join(commands))
    figures = {
        "messages": small,
        "messages_large": large,
        "commands": len(commands),
        "most_commands": MOST_COMMANDS,
        "seconds": whole,
        "loading_seconds": loading,
        "seconds_over_loading": whole - loading,
        "most_seconds_over_loading": MOST_SECONDS,
        "seconds_large": median(seconds["large"]),
        "ratio_large_to_small": median(seconds["large"]) / whole,
        "most_ratio": MOST_RATIO,
        "naive_imapclient_seconds": median(seconds["naive"]),
        "ours_mail_time_to_naive": (whole - loading) / median(seconds["naive"]),
    }
    report("cold_draft", figures, "imapclient", "bpe-openai")


def _config(folder: Path, proxy: CountingProxy, user: str) -> Path:
    """A configuration with a data folder of its own: nothing of ours is cached."""
    path = folder / f"{user}-{proxy.port}-{time.monotonic_ns()}.toml"
    path.write_text(
        f'data_folder = "{path.with_suffix("")}"\n[accounts.bench]\naddress = "{OWNER}"\n'
        f'secret = {{ password_env = "BENCH_PASSWORD", keyring = false }}\n[accounts.bench.imap]\n'
        f'host = "127.0.0.1"\nport = {proxy.port}\nsecurity = "none"\nlogin = "{user}"\n'
    )
    return path


def _command(folder: Path, proxy: CountingProxy, user: str) -> list[str]:
    return ["mailassist", "--config", str(_config(folder, proxy, user)), "draft", "--latest", "--show-prompt"]


def _draft(folder: Path, proxy: CountingProxy, user: str) -> None:
    argv = _command(folder, proxy, user)
    _python(f"import sys; sys.argv = {argv!r}\nfrom mailassist.cli import main\nmain()")


def _modules(folder: Path, proxy: CountingProxy, user: str, path: Path) -> None:
    _python(_LIST_MODULES.format(path=str(path), argv=_command(folder, proxy, user)))


def _counted(folder: Path, proxy: CountingProxy, user: str) -> list[str]:
    proxy.commands.clear()
    _draft(folder, proxy, user)
    return proxy.words()


def _python(code: str) -> None:
    environment = {**os.environ, "BENCH_PASSWORD": dovecot.PASSWORD}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its byte code
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"it failed:\n{done.stderr}")


def naive(host: str, port: int, user: str) -> int:
    """What a first script does with imapclient: newest message, then search every folder for each id of its thread."""
    client = IMAPClient(host, port, ssl=False)
    client.login(user, dovecot.PASSWORD)
    client.select_folder("INBOX", readonly=True)
    newest = client.search("ALL")[-1]
    envelope = client.fetch([newest], ["ENVELOPE"])[newest][b"ENVELOPE"]
    asked: set[str] = set()
    wanted = {value.decode() for value in (envelope.message_id, envelope.in_reply_to) if value}
    bodies = 0
    while wanted:
        new: set[str] = set()
        for folder in ("INBOX", "Sent", "Archive"):
            client.select_folder(folder, readonly=True)
            for one in wanted:
                uids = set(client.search(["HEADER", "Message-ID", one])) | set(
                    client.search(["HEADER", "References", one])
                )
                for found in client.fetch(sorted(uids), ["ENVELOPE", "BODY.PEEK[]"]).values() if uids else ():
                    bodies += 1
                    new |= {
                        value.decode()
                        for value in (found[b"ENVELOPE"].message_id, found[b"ENVELOPE"].in_reply_to)
                        if value
                    }
        asked |= wanted
        wanted = new - asked
    client.logout()
    return bodies
