import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailassist import config_file, secrets
from mailassist.config import Config, SecretSettings
from mailassist.desk.models import key_name
from mailassist.errors import ConfigError, SecretError

EXAMPLE = Path(config_file.__file__).parent / "example.toml"


def _mistake(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config_file.parse(text, "c.toml")
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _keys(schema: dict, node: dict) -> set[str]:
    node = config_file._resolve(schema, node)
    found = set()
    for name, child in node.get("properties", {}).items():
        found |= {name} | _keys(schema, child) | _keys(schema, child.get("additionalProperties", {}) or {})
        found |= _keys(schema, child.get("items", {}))
    return found


def test_the_example_is_valid_and_names_every_key() -> None:
    text = EXAMPLE.read_text()
    config = config_file.parse(text, "example.toml")
    assert config.accounts["work"].delivery.undo_seconds == 10
    schema = Config.model_json_schema()
    assert {key for key in _keys(schema, schema) if key not in text} == set()


def test_the_example_shows_the_defaults() -> None:
    shown = config_file.parse(EXAMPLE.read_text(), "example.toml").accounts["work"]
    bare = config_file.parse('[accounts.a]\naddress="a@b.example"\nmaildir="/m"', "c").accounts["a"]
    assert (shown.delivery, shown.waiting, shown.sync, shown.folders) == (
        bare.delivery,
        bare.waiting,
        bare.sync,
        bare.folders,
    )


def test_an_unknown_key_is_refused_with_file_line_and_the_known_ones() -> None:
    said = _mistake('[accounts.a]\naddress = "a@b.example"\nmaildir = "/m"\n\n[accounts.a.delivery]\nmood = "send"\n')
    assert said.startswith("c.toml:6: accounts.a.delivery.mood: unknown key")
    assert "undo_seconds" in said


def test_a_wrong_value_is_refused_with_what_was_expected_and_found() -> None:
    said = _mistake('[accounts.a]\naddress = "a@b.example"\n[accounts.a.imap]\nhost = "h"\nport = "many"\n')
    assert said.startswith("c.toml:5: accounts.a.imap.port: expected a valid integer")
    assert "found 'many'" in said


def test_the_line_in_an_array_of_tables_is_that_of_its_own_element() -> None:
    said = _mistake(
        '[accounts.a]\naddress="a@b.example"\nmaildir="/m"\n'
        '[[accounts.a.identities]]\naddress="a@b.example"\n[[accounts.a.identities]]\nname=3\naddress="c@b.example"\n'
    )
    assert said.startswith("c.toml:7: accounts.a.identities.1.name")


@pytest.mark.parametrize("names", [("model",), ("work", '"work.smtp"')])
def test_an_account_cannot_have_the_name_of_another_secret(names: tuple[str, ...]) -> None:
    text = "".join(f'[accounts.{name}]\naddress = "a@b.example"\nmaildir = "/m"\n' for name in names)
    assert "cannot be called" in _mistake(text)


@pytest.mark.parametrize("line", ['password="hunter2"', 'secret="hunter2"', '[model]\nkey="hunter2"'])
def test_a_password_in_the_file_is_refused_and_not_repeated(line: str) -> None:
    said = _mistake(f'[accounts.a]\naddress="a@b.example"\nmaildir="/m"\n{line}\n')
    assert "secrets never stand in this file" in said
    assert "hunter2" not in said


def test_what_is_no_secret_is_shown() -> None:
    assert _mistake("[model]\ncontext_tokens = 5\n").endswith("greater than or equal to 200, found 5")


def test_the_default_account_is_one_that_there_is() -> None:
    text = '[model]\nname="outline"\n[accounts.a]\naddress="a@b.c"\nmaildir="/m"\n'
    assert _mistake(f'default_account = "zz"\n{text}') == (
        "c.toml:1: default_account: there is no account 'zz'; the accounts are: a"
    )


def test_a_missing_key_is_looked_for_at_the_table_below_where_there_is_no_other() -> None:
    said = _mistake('[model]\n[accounts.a.imap]\nhost = "h"\nport = 993\n')
    assert said.startswith("c.toml:2: accounts.a.address: missing")


def test_broken_toml_names_the_line() -> None:
    assert "line 2" in _mistake("[model]\nname = \n")


def test_clear_text_is_for_this_machine_only() -> None:
    assert 'use "tls"' in _mistake(
        '[accounts.a]\naddress="a@b.c"\n[accounts.a.imap]\nhost="mail.b.c"\nport=143\nsecurity="none"'
    )


@pytest.mark.parametrize("host", ["", "imaps://mail.b.c", "mail.b.c ", "mail..b.c", "mail.b.c:993", f"{'a' * 64}.b.c"])
def test_a_host_is_a_name_or_number_and_no_url(host: str) -> None:
    said = _mistake(f'[accounts.a]\naddress="a@b.c"\n[accounts.a.imap]\nhost="{host}"\nport=993\n')
    assert said == f"c.toml:4: accounts.a.imap.host: expected a host name such as imap.example.org, found {host!r}"


@pytest.mark.parametrize("host", ["mail.b.c.", "192.0.2.1", "2001:db8::1", "fe80::1%eth0", "bücher.example"])
def test_a_host_may_be_written_in_every_usual_way(host: str) -> None:
    text = f'[accounts.a]\naddress="a@b.c"\n[accounts.a.imap]\nhost="{host}"\nport=993\n'
    imap = config_file.parse(text, "c").accounts["a"].imap
    assert imap is not None and imap.host == host


def test_what_is_no_address_is_refused_before_a_reply_leaves_from_it() -> None:
    assert _mistake('[accounts.a]\naddress="ada"\nmaildir="/m"\n').startswith("c.toml:2: accounts.a.address: expected")
    said = _mistake('[accounts.a]\naddress="a@b.c"\nmaildir="/m"\nidentities=[{address="a@b.c", aliases=["b.c"]}]\n')
    assert said.startswith("c.toml:4: accounts.a.identities: expected an address") and said.endswith("found 'b.c'")


@pytest.mark.parametrize(
    ("table", "line"),
    [
        ("accounts.a.sync", "days = 1000000"),
        ("accounts.a.sync", "retention_days = 100000000000000"),
        ("accounts.a.waiting", "max_age_days = 1000000"),
        ("accounts.a.imap", "read_timeout = 1e12"),
        ("model", "input_price = nan"),
        ("model", "output_price = -1.0"),
    ],
)
def test_a_number_that_nothing_can_count_with_is_refused(table: str, line: str) -> None:
    text = '[accounts.a]\naddress="a@b.c"\n[accounts.a.imap]\nhost="m.b.c"\nport=993\n'
    text += line if table == "accounts.a.imap" else f"[{table}]\n{line}"
    assert f": {table}.{line.split()[0]}: expected" in _mistake(text)


def test_what_was_expected_is_said_in_the_words_of_the_file() -> None:
    assert _mistake('accounts = ["a"]\n') == "c.toml:1: accounts: expected a table"
    assert _mistake("data_folder = 5\n") == "c.toml:1: data_folder: expected a path, found 5"
    assert _mistake('[model]\nname = ""\n').endswith("model.name: expected a text that is not empty, found ''")


@given(st.text(alphabet='abc=[]."\n #1', max_size=80))
def test_any_text_gives_a_configuration_or_one_line(text: str) -> None:
    try:
        config_file.parse(text, "c.toml")
    except ConfigError as error:
        assert str(error).startswith("c.toml")


def test_secrets_are_found_in_the_documented_order(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "mailassist.work").write_text("from-systemd\n")
    file = tmp_path / "secret"
    file.write_text("from-file\n")
    file.chmod(0o600)
    command = f"{sys.executable} -c \"print('from-command')\""
    settings = SecretSettings(keyring=False, password_command=command, password_file=file, password_env="P")
    environment = {"CREDENTIALS_DIRECTORY": str(credentials), "P": "from-environment"}
    find = lambda s, e: secrets.find("work", s, environment=e).secret.get_secret_value()  # noqa: E731
    assert find(settings, environment) == "from-systemd"
    environment.pop("CREDENTIALS_DIRECTORY")
    assert find(settings, environment) == "from-command"
    assert find(settings.model_copy(update={"password_command": ""}), environment) == "from-file"
    bare = SecretSettings(keyring=False, password_env="P")
    found = secrets.find("work", bare, environment=environment)
    assert found.secret.get_secret_value() == "from-environment"
    assert "$P" in found.warning


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_secret_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("hunter2\n")
    file.chmod(0o644)
    with pytest.raises(SecretError, match="chmod 600") as caught:
        secrets.find("work", SecretSettings(keyring=False, password_file=file), environment={})
    assert "hunter2" not in str(caught.value)


def test_a_command_that_is_not_one_is_named_and_none_reads_the_keys_typed() -> None:
    with pytest.raises(SecretError, match="password_command"):
        secrets.find("a", SecretSettings(keyring=False, password_command="echo 'x"))
    reads = SecretSettings(keyring=False, password_command="sh -c 'cat; echo done'")
    assert secrets.find("a", reads).secret.get_secret_value() == "done"


def test_the_key_of_another_server_has_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert key_name("https://api.openai.com/v1") == "model" == key_name("https://eu.api.openai.com/v1")
    other = key_name("http://lan.example:4000/v1")
    assert other == "model@lan.example" == key_name("https://user@lan.example")
    assert key_name("https://api.openai.com.evil.example/v1") != "model"
    with pytest.raises(SecretError, match=r"model@lan\.example"):
        secrets.find(other, SecretSettings(keyring=False), environment={"OPENAI_API_KEY": "sk-123"})


def test_a_failing_command_is_named_without_what_it_printed() -> None:
    command = f"{sys.executable} -c \"print('hunter2'); raise SystemExit('store is locked')\""
    with pytest.raises(SecretError, match="store is locked") as caught:
        secrets.find("work", SecretSettings(keyring=False, password_command=command), environment={})
    assert "hunter2" not in str(caught.value)


def test_a_missing_secret_names_every_place_that_was_tried() -> None:
    with pytest.raises(SecretError, match=r"\$OPENAI_API_KEY"):
        secrets.find("model", SecretSettings(keyring=False), environment={})


def test_a_secret_never_shows_in_repr(tmp_path: Path) -> None:
    found = secrets.find("model", SecretSettings(keyring=False), environment={"OPENAI_API_KEY": "sk-123"})
    assert "sk-123" not in repr(found) + str(found)


@pytest.mark.parametrize("backend", ["not_installed.Keyring", "os.NoKeyring", "Keyring"])
def test_a_keyring_that_cannot_be_loaded_counts_as_none(backend: str, tmp_path: Path) -> None:
    code = (
        "from mailassist import secrets\nfrom mailassist.config import SecretSettings\n"
        "print(secrets.keyring_problem())\n"
        "print(secrets.find('work', SecretSettings(password_command='echo it')).origin)"
    )
    ways = ({"PYTHON_KEYRING_BACKEND": backend}, {"XDG_CONFIG_HOME": str(tmp_path)})
    settings = tmp_path / "python_keyring" / "keyringrc.cfg"
    settings.parent.mkdir()
    settings.write_text(f"[backend]\ndefault-keyring={backend}\n")
    for way in ways:
        environment = {name: value for name, value in os.environ.items() if name != "PYTHON_KEYRING_BACKEND"} | way
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
        problem, origin = done.stdout.splitlines()
        assert "cannot be loaded" in problem and origin == "password_command"


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mailassist", "config", *arguments], capture_output=True, text=True, check=False
    )


def test_config_check_prints_a_line_for_each_mistake(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('default_account = "zz"\n[model]\nnam = 1\nretries = 99\n')
    done = _run("check", str(file))
    lines = [line.partition(f"{file}:")[2].split(":")[0] for line in done.stderr.splitlines()]
    assert (done.returncode, lines) == (3, ["1", "4", "3"])


def test_config_show_leaves_out_the_passwords_of_proxies(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text(
        '[accounts.a]\naddress="a@b.c"\n[accounts.a.imap]\nhost="h"\nport=993\nproxy="socks5://u:hunt/er2@p.example:1"\n'
    )
    done = _run("show", "--config", str(file))
    assert "hunt" not in done.stdout and "socks5://***@p.example:1" in done.stdout


def test_a_file_that_could_not_be_written_leaves_nothing_beside_it(tmp_path: Path) -> None:
    (tmp_path / "work.secret").mkdir()
    with pytest.raises(ConfigError, match="cannot be written"):
        config_file.write_private(tmp_path / "work.secret", "hunter2\n")
    assert [path.name for path in tmp_path.iterdir()] == ["work.secret"]


def test_an_account_is_put_in_the_place_of_the_one_of_its_name(tmp_path: Path) -> None:
    file, target = tmp_path / "c.toml", tmp_path / "dotfiles.toml"
    old = (
        '# a\n[accounts."w"]\naddress="w@b.c"\n[accounts.w.imap]\nhost="h"\nport=993\n\n# b\n[model]\nname="outline"\n'
    )
    target.write_text(old)
    file.symlink_to(target)
    account = config_file.load(file).accounts["w"]
    config_file.put_account(file, "w", account.model_copy(update={"address": "new@x.example"}))
    assert file.is_symlink() and config_file.load(file).accounts["w"].address == "new@x.example"
    text = target.read_text()
    assert (
        text.startswith("# a\n[accounts.w]\n")
        and text.endswith('\n\n# b\n[model]\nname="outline"\n')
        and "w@b.c" not in text
    )
    target.write_text('[accounts]\nw = {address = "w@b.c", maildir = "/m"}\n')
    with pytest.raises(ConfigError, match="cannot be told apart"):
        config_file.put_account(file, "w", account)
    assert config_file.load(file).accounts["w"].address == "w@b.c"


def test_the_command_line_prints_one_line_and_exits_with_3(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text("[model]\nnam = 1\n")
    done = subprocess.run(
        [sys.executable, "-m", "mailassist", "config", "check", str(file)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert len(done.stderr.splitlines()) == 1
    assert f"{file}:2: model.nam: unknown key" in done.stderr
