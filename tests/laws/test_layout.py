"""The house rules, as tests: sizes, depth, names, and what may be imported when."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("provenance", "checks", "pipelines")
PRODUCT = [ROOT / "assay.py", *(p for name in PACKAGES for p in (ROOT / name).rglob("*.py"))]
HEAVY = {"pandas", "great_expectations", "prefect", "sklearn", "cleanlab", "presidio_analyzer",
         "pyarrow", "numpy", "duckdb", "fastapi", "rich", "spacy", "scipy"}  # fmt: skip
UNFINISHED = re.compile(r"\b(TODO|FIXME|raise NotImplementedError)\b")
VAGUE = re.compile(r"(^|_)(utils?|helpers?|common|manager|misc)(_|$)")


@pytest.mark.parametrize("path", PRODUCT, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_and_functions_are_short(path):
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            is_told = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            told = first.end_lineno - first.lineno + 1 if is_told else 0
            assert node.end_lineno - node.lineno - told < 40, node.name  # less its docstring
            assert not VAGUE.search(node.name.lower()), node.name
    assert not VAGUE.search(path.stem)
    assert not UNFINISHED.search(text)
    assert len(path.relative_to(ROOT).parts) <= 3


@pytest.mark.parametrize("path", PRODUCT, ids=lambda p: str(p.relative_to(ROOT)))
def test_modules_say_what_they_are(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert len(docstring.splitlines()) <= 14


def test_every_check_says_what_gets_past_it():
    for path in (ROOT / "checks").glob("*.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
        if path.name != "__init__.py":
            assert "Threat:" in docstring, path
            assert "Blind to:" in docstring, path


def test_a_row_walks_through_few_files_and_none_of_them_twice():
    """The walk in ADR 0001: each file is reached from one before it, by import or by name."""
    text = (ROOT / "docs" / "adr" / "0001-three-floors.md").read_text()
    table = text.partition("| stage | files |")[2].partition("**Consequences.**")[0]
    walk = re.findall(r"`([a-z_/]+)\.py`", table)
    assert len(walk) == len(set(walk)) <= 35
    reached = ""
    for name in walk:
        path = ROOT / f"{name}.py"
        package, _, module = name.replace("/", ".").rpartition(".")
        is_named = re.search(rf"\b{re.escape(package)}\.{module}\b", reached) or any(
            re.search(rf"\b{module}\b", names)
            for names in re.findall(rf"from {re.escape(package)} import \(?([\w,\s]+)", reached)
        )
        is_started_by_name = name.startswith("pipelines/commands/") or package == "checks"
        assert not reached or is_named or is_started_by_name, name
        reached += path.read_text()


@pytest.mark.parametrize("words", [["--help"], ["run", "--help"], ["--version"], []], ids=str)
def test_help_imports_nothing_heavy(words):
    code = (
        "import sys; from pipelines.cli import main\n"
        f"try: main({words!r})\n"
        "except SystemExit: pass\n"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stderr.splitlines()[-1].split())


def test_no_check_is_imported_by_another_and_floors_hold():
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stdout[-2000:]


def test_make_removes_no_ledger_and_takes_uv_by_its_digest_only():
    rules = (ROOT / "Makefile").read_text()
    removed = rules.partition("\nclean:\n")[2].split("\n\n")[0]
    assert "rm -rf" in removed
    assert "assay-store" not in removed
    installs = [line for line in rules.replace("\\\n", " ").splitlines() if "pip install" in line]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    pinned = (ROOT / ".ci" / "uv-requirements.txt").read_text()
    assert re.search(r"^uv==[0-9.]+ ", pinned, re.MULTILINE)
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", pinned)) >= 4
    assert "://" not in pinned
