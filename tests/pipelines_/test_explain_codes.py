"""Codes: one table, one page, one exit code each."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import cli
from provenance.base import codes
from provenance.base.codes import CODES, exit_of

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", ["errors", "commands"])
def test_the_page_is_generated(name):
    place = ROOT / "docs" / f"make_{name}.py"
    spec = importlib.util.spec_from_file_location(place.stem, place)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / f"{name}.md").read_text() == module.page()


@pytest.mark.parametrize("code", sorted(CODES))
def test_each_code_has_a_page(code, capsys):
    assert cli.main(["explain", f"assay-{code.lower()}", "--json"]) == 0
    page = json.loads(capsys.readouterr().out)
    assert page["code"] == f"ASSAY-{code}"
    assert page["exit"] in (1, 2, 3, 4, 130)
    assert page["means"]
    assert page["fix"]


def test_the_table_has_whole_sentences_and_no_code_twice():
    lines = codes._TABLE.split("\n")
    found = [line[:4] for line in lines if line[:4].strip()]
    assert found == list(CODES)
    for code, texts in CODES.items():
        assert re.fullmatch(r"[IVCKLEG]\d{3}", code)
        assert all(re.fullmatch(r"[A-Z`].*\.", text) for text in texts), code


def test_an_unknown_code_is_a_usage_error(capsys):
    assert cli.main(["explain", "ASSAY-I999"]) == 2
    assert "ASSAY-C013" in capsys.readouterr().err


def test_every_code_in_the_program_is_in_the_table():
    used = set()
    for folder in ("provenance", "checks", "pipelines"):
        for path in (ROOT / folder).rglob("*.py"):
            used |= set(re.findall(r"""["'](?:ASSAY-)?([IVCKLEG]\d{3})["']""", path.read_text()))
    assert used <= set(CODES)


def test_letters_decide_the_exit_code():
    some = ("I001", "V001", "C001", "K001", "L001", "E001", "E130", "G001", "K010")
    assert [exit_of(code) for code in some] == [
        3, 1, 2, 3, 4, 3, 130, 1, 1,
    ]  # fmt: skip


def test_a_code_is_explained_without_a_heavy_import():
    code = (
        "import sys; from pipelines.cli import main\n"
        "assert main(['explain', 'ASSAY-I035']) == 0\n"
        "print(' '.join(sorted({name.partition('.')[0] for name in sys.modules})), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.splitlines()[-1].split())
    assert not loaded & {"pyarrow", "numpy", "pandas", "sklearn", "duckdb", "great_expectations"}


def test_a_rule_has_a_page(capsys):
    assert cli.main(["explain", "outliers.joint"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("outliers.joint (check outliers, error): ")
    assert [line.split(":")[0].strip() for line in printed.splitlines()[1:]] == [
        "fires", "misses", "fix",
    ]  # fmt: skip
    assert cli.main(["explain", "outliers.joint", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["check"] == "outliers"
