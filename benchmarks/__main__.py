"""`python -m benchmarks NAME [ARGS]`: run one benchmark; without a name, the list."""

from __future__ import annotations

import ast
import importlib
import sys
from pathlib import Path


def names() -> dict[str, str]:
    """Every benchmark with the first line of its docstring; nothing is imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(node, ast.FunctionDef) and node.name == "run" for node in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").split("\n")[0]
    return found


def main(arguments: list[str]) -> int:
    """Exit status: 2 for a name that is not there."""
    known = names()
    if not arguments:
        for name, line in known.items():
            print(f"{name:16} {line}")
        return 0
    if arguments[0] not in known:
        print(f"There is no benchmark {arguments[0]!r}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    importlib.import_module(f"benchmarks.{arguments[0]}").run(arguments[1:])
    return 0


sys.exit(main(sys.argv[1:]))
