"""Imports in threads: none is ended by another, none is cut off in its middle."""

import importlib
import itertools
import subprocess
import sys
import threading
import time

import pytest
from gated import Home

from checks.kit import findings
from checks.pii import recognizers
from pipelines.checking.engine import Serial
from pipelines.orchestration import scheduler
from pipelines.orchestration.scheduler import Stage
from pipelines.review import recording
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.run import background
from provenance.base.errors import AssayError

NAMES = itertools.count()
WHOLE = """
import time
time.sleep({seconds})
early = True
from {name}.part import done
"""
SLOW = """
import time
for _ in range(100):
    time.sleep(0.01)
whole = True
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that is slow to load and loads a part of itself last, as scipy.sparse does."""
    name = f"slow_package_{next(NAMES)}"
    folder = tmp_path / "lib" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text(WHOLE.format(seconds=1, name=name))
    (folder / "part.py").write_text(f"from {name} import early\ndone = True\n")
    (folder / "slow.py").write_text(SLOW)
    monkeypatch.syspath_prepend(folder.parent)
    return name


def test_two_doors_to_a_package_are_what_python_cannot_bear(tmp_path, package):
    """The fault itself, so that nobody takes the wait for superstition: both imports end."""
    script = f"""
import importlib, sys, threading, time
sys.path.insert(0, {str(tmp_path / "lib")!r})
ended = []
def door(name):
    try:
        importlib.import_module(name)
    except BaseException as error:
        ended.append(type(error).__name__)
doors = [threading.Thread(target=door, args=[{package!r} + part]) for part in ("", ".part")]
for thread in doors:
    thread.start()
    time.sleep(0.3)
for thread in doors:
    thread.join()
print(ended)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "['ImportError', 'KeyError']"  # the latter in importlib itself


def test_what_waits_for_the_first_imports_comes_in_by_any_door(package, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with background.importing() as imports:
        imports.start(lambda: (package,))
        assert f"{package}.part" not in sys.modules
        imports.wait()
        [found] = Serial(60.0).map(importlib.import_module, [f"{package}.part"])
        assert found.done
        assert "warm-imports" not in [thread.name for thread in threading.enumerate()]


def test_a_refusal_does_not_wait_for_all_of_them(package, monkeypatch):
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with background.importing() as imports:
        imports.start(lambda: (package, f"{package}.slow"))
    assert package in sys.modules
    assert f"{package}.slow" not in sys.modules


def test_a_late_check_is_not_ended_in_the_middle_of_an_import(package):
    importlib.import_module(package)
    ended = threading.Event()

    def check(name):
        try:
            importlib.import_module(name)
            while True:
                time.sleep(0.01)
        finally:
            ended.set()

    with pytest.raises(AssayError, match="K002"):
        Serial(0.3).map(check, [f"{package}.slow"])
    assert not ended.is_set()
    assert ended.wait(30.0)
    assert sys.modules[f"{package}.slow"].whole


def test_a_stage_that_is_given_up_is_not_ended_in_the_middle_of_an_import(package, monkeypatch):
    importlib.import_module(package)
    monkeypatch.setattr(scheduler, "GRACE", 30.0)
    began = threading.Event()

    def slow():
        began.set()
        importlib.import_module(f"{package}.slow")
        while True:
            time.sleep(0.01)

    def fails():
        began.wait()
        time.sleep(0.3)
        raise ValueError("this one")

    with pytest.raises(ValueError, match="this one"):
        scheduler.run_direct([Stage("slow", slow), Stage("fails", fails)])
    assert sys.modules[f"{package}.slow"].whole


GATE = """
import sys
from pipelines.cli import main
code = main({words!r})
print(code, *sorted({{name.partition('.')[0] for name in sys.modules}}))
"""
HEAVY = {
    "pandas",
    "great_expectations",
    "sklearn",
    "cleanlab",
    "presidio_analyzer",
    "scipy",
    "spacy",
}


@pytest.mark.parametrize("is_reviewed", [False, True])
def test_a_gate_that_reuses_a_pass_imports_nothing_heavy_for_what_reviews_teach(
    tmp_path, is_reviewed
):
    home = Home(tmp_path)
    found = findings.make([*range(12)], check="outliers", rule="outliers.joint", score=0.5,
                          evidence="far")  # fmt: skip
    entry = home.passed(found=[found])
    if is_reviewed:
        asks = [Ask(Selection(row=str(row)), "release") for row in range(12)]
        recording.record(ReviewedRun.of(home.store, entry), asks, "anna")
        cut = {"rule": "outliers.joint", "column": "", "upto": 0.5, "released": 12, "wrong": 0,
               "excluded": [], "rows": 12}  # fmt: skip
        home.passed(found=[found], learnt={"upto": entry.seq + 1, "cuts": [cut]})
    code = GATE.format(words=home.words(command=("true",)))
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True,
                          capture_output=True, text=True)  # fmt: skip
    said = done.stdout.splitlines()[-1].split()
    assert said[0] == "0", done.stderr
    assert not HEAVY & {*said}
    kinds = [made.kind for made in home.store.ledger.entries()]
    assert kinds.count("run") == 1 + is_reviewed  # no new run


PANDAS = """
import sys
{first}
from pipelines import no_pandas
no_pandas.install()
import pyarrow as pa
pa.array([1])
assert ("pandas" in sys.modules) is ({first!r} == "import pandas")
{then}
import pandas as pd
assert pa.array(pd.Series([1.0, float("nan")])).null_count == 1
assert pa.array(pd.Series(["a", None], dtype=object)).null_count == 1
assert pa.Table.from_pandas(pd.DataFrame({{"a": [1]}})).to_pandas().shape == (1, 1)
"""


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("", ""),
        ("import pyarrow", ""),
        ("", "pa.table({'a': [1]}).to_pandas()"),
        ("import pandas", ""),
    ],
)
def test_pyarrow_imports_no_pandas_until_there_is_a_frame(first, then):
    """It then takes columns of frames as it always does: missing values are missing."""
    code = PANDAS.format(first=first, then=then)
    subprocess.run([sys.executable, "-c", code], check=True)


def test_pandas_that_is_imported_first_finds_its_pyarrow():
    code = "from pipelines import no_pandas\nno_pandas.install()\nimport pandas as pd\n"
    code += "import pyarrow as pa\nassert pa.array(pd.Series([float('nan')])).null_count == 1\n"
    subprocess.run([sys.executable, "-c", code], check=True)


FOUND = """
import sys
from pipelines import quick_imports
if {postponed}:
    quick_imports.postpone()
from checks.pii import recognizers
texts = [
    "iban DE89370400440532013000", "visa 4111 1111 1111 1111", "mail a.b@example.com",
    "social security 078-05-1120", "call +49 30 123456", "http://www.example.com/x", "10.1.2.3",
    "00:1A:2B:3C:4D:5E", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "12/31/1999", "nhs 943 476 5919",
    "itin 912-70-1234", "passport 912803456", "driver H12234567", "bank account 945456787654",
    "123e4567-e89b-12d3-a456-426614174000", "medical license BB1388568",
]
run = recognizers.analyzer(tuple(recognizers.CLASSES), 0.0, 500_000)
for text in texts:
    print(run.hits(text, recognizers.CLASSES))
"""


def test_recognizers_that_are_imported_late_find_the_same():
    """Each of them finds something, so that each is imported to its last constant."""
    found = [
        subprocess.run(
            [sys.executable, "-c", FOUND.format(postponed=flag)],
            check=True, capture_output=True, text=True,
        ).stdout
        for flag in (True, False)
    ]  # fmt: skip
    assert found[0] == found[1]
    assert all(f"'{entity}'" in found[0] for entity in recognizers.CLASSES)
