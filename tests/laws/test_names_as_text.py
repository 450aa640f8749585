"""Names of modules that are held as text: in strings, comments, documents, settings and commands.

Nothing else notices when a file moves away from under such a name.
"""

import ast
import functools
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = "provenance|checks|pipelines"
DOTTED = re.compile(rf"(?<![\w./-])(?:{PACKAGES})(?:\.[A-Za-z_]\w*)+(?::\w+)?")
IMPORTS = re.compile(rf"from ((?:{PACKAGES})(?:\.\w+)*) import (\w+(?:, \w+)*)")
PATHS = re.compile(rf"(?<![\w./-])(?:{PACKAGES})(?:/\w+)+\.(?:py|yml|json|css|html)")
ENDINGS = (".py", ".md", ".toml", ".yml", ".yaml", ".html")
# what is written about the past, and names of tables that look like modules
DUNDERS = {"__path__", "__file__", "__name__"}
LEFT = {"CHANGELOG.md", "uv.lock"}
NO_MODULES = {"checks.values", "checks.items", "checks.append", "checks.get", "checks.keys"}


def told():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True)
    for name in listed.stdout.decode().splitlines():
        path = ROOT / name
        if name not in LEFT and (path.suffix in ENDINGS or path.name in ("Makefile", "run")):
            text = path.read_text()
            yield from ((name, found) for found in sorted({*DOTTED.findall(text)} - NO_MODULES))
            yield from ((name, found) for found in sorted({*PATHS.findall(text)}))
            for module, names in IMPORTS.findall(text):
                yield from ((name, f"{module}.{found}") for found in names.split(", "))


@functools.cache
def defined_in(path):
    """Return the names that a module defines or imports at its top, and in its classes."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names.update((alias.asname or alias.name).split(".")[0] for alias in node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return names


def is_there(name):
    if "/" in name:
        return (ROOT / name).is_file()
    place, parts = ROOT, re.split(r"[.:]", name)
    for number, part in enumerate(parts):
        if part in DUNDERS or (place / part).is_dir():
            place = place / part
            continue
        module = place / f"{part}.py"
        if module.is_file():
            rest = parts[number + 1 :]
        else:
            module, rest = place / "__init__.py", parts[number:]
        return module.is_file() and all(word in defined_in(module) | DUNDERS for word in rest[:1])
    return True


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("provenance.standalone_verify", True), ("pipelines.cli:main", True),
        ("pipelines/cli.py", True), ("checks.kit.verdict.decide", True),
        ("pipelines.nowhere", False), ("pipelines.cli:nobody", False),
        ("provenance/ledger.py", False), ("checks.kit.contract", False),
    ],
)  # fmt: skip
def test_the_law_tells_names_that_are_there_from_others(name, wanted):
    assert is_there(name) is wanted


def test_every_name_that_is_held_as_text_is_there():
    gone = [f"{file}: {name}" for file, name in told() if not is_there(name)]
    assert [line for line in gone if "test_names_as_text" not in line] == []
