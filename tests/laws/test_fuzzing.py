"""Any bytes give a value or an AssayError; and a target that did otherwise would be seen.

`make fuzz` runs the same for as long as one likes; here each target gets a few cases.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FUZZ = ROOT / "benchmarks" / "fuzz.py"
SEEN = {
    "crash": "died of SIGSEGV",
    "abort": "died of SIGABRT",
    "spin": "died of SIGXCPU",
    "sleep": "died of SIGKILL",
    "overrun": "memory overrun",
    "no memory": "MemoryError",
    "exception": "KeyError",
    "law": "LawBrokenError planted",
    "unknown code": "ASSAY-X999",
    "open file": "a file was left open",
    "thread": "a thread was left running",
}


def done(*words):
    command = [sys.executable, "-P", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def test_each_target_holds(tmp_path):
    words = ("--cases", 40, "--seconds", 600, "--failures", tmp_path / "failures")
    ran = done(FUZZ, *words)
    assert ran.returncode == 0, ran.stdout + ran.stderr[-2000:]
    counts = [line.split() for line in ran.stdout.splitlines() if line[:1].isalpha()]
    assert sum(1 for words in counts if "40" in words[1:3]) >= 13, ran.stdout
    assert not (tmp_path / "failures").exists()


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    ran = done(ROOT / "tests" / "fuzzing" / "planted.py", folder)
    assert ran.returncode == 0, ran.stderr
    return folder, json.loads(ran.stdout)


@pytest.mark.parametrize("name", SEEN)
def test_what_no_target_may_do_is_seen_and_kept(planted, name):
    folder, found = planted
    cases, refused, contained, failures = found[name]
    assert (cases, contained) == (10, 0)
    assert refused + sum(failures.values()) == 10  # a change may come to the bad case again
    assert failures
    assert all(SEEN[name] in what for what in failures), failures
    (kept,) = (folder / "failures").glob(f"{name}-*.case")
    assert kept.read_bytes() == b"bad"
    assert name in kept.with_suffix(".txt").read_text()


def test_a_crash_that_the_product_sees_coming_is_counted_apart(planted):
    cases, refused, contained, failures = planted[1]["contained"]
    assert (cases, refused + contained, failures) == (10, 10, {})
    assert contained


def test_a_case_can_be_run_again(tmp_path):
    case = tmp_path / "a.case"
    case.write_bytes(b"\0\0\0\0a,b\n1,2\n")
    ran = done(FUZZ, "--target", "csv", "--replay", case)
    assert (ran.returncode, ran.stdout) == (0, "nothing is wrong with it\n"), ran.stderr
