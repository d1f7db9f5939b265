"""The templates are found in a wheel as they are in a checkout."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
ASK = "from mailassist.drafting.rendering import template_folder; print(template_folder())"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a wheel of this checkout puts into site-packages."""
    built, target = tmp_path_factory.mktemp("dist"), tmp_path_factory.mktemp("site-packages")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(built)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=100)
    (wheel,) = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def test_the_templates_of_a_wheel_lie_inside_the_package(installed: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    asked = [sys.executable, "-c", ASK]
    found = subprocess.run(
        asked, cwd=installed, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    assert Path(found.stdout.strip()) == installed / "mailassist" / "templates"
    ours = {file.name: file.read_bytes() for file in (ROOT / "templates").glob("*.j2")}
    assert {file.name: file.read_bytes() for file in (installed / "mailassist" / "templates").iterdir()} == ours


def test_a_wheel_puts_nothing_but_the_package_at_the_top_of_site_packages(installed: Path) -> None:
    names = {path.name for path in installed.iterdir()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"mailassist"}


def test_the_data_files_that_drafting_reads_are_in_the_wheel(installed: Path) -> None:
    package = installed / "mailassist"
    for name in ("context/languages.toml", "drafting/outline.toml", "model/models.toml", "py.typed"):
        assert (package / name).is_file()
    data = [path.relative_to(ROOT) for kind in ("*.toml", "*.txt") for path in (ROOT / "mailassist").rglob(kind)]
    assert len(data) > 6
    assert all((installed / path).is_file() for path in data)


def test_an_older_store_is_upgraded_by_what_is_in_the_wheel(installed: Path, tmp_path: Path) -> None:
    schema = (ROOT / "tests" / "unit" / "schemas" / "2.sql").read_text()
    code = "import sqlite3, sys; from pathlib import Path; from mailassist.store.database import Store\n"
    code += "with sqlite3.connect(sys.argv[1]) as old: old.executescript(sys.argv[2])\n"
    code += "Store(Path(sys.argv[1])); print(sys.modules['mailassist'].__file__)"
    upgraded = [sys.executable, "-c", code, str(tmp_path / "old.sqlite"), schema]
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    done = subprocess.run(
        upgraded, cwd=installed, env=environment, check=True, capture_output=True, text=True, timeout=60
    )
    assert Path(done.stdout.strip()).is_relative_to(installed)
