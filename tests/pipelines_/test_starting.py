"""What starting costs: which modules a command imports, and which processes it starts."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import gated
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {"great_expectations", "prefect", "sklearn", "pandas", "scipy", "duckdb", "cleanlab",
         "presidio_analyzer", "jinja2", "opendp"}  # fmt: skip
# every process writes down what it imports, as soon as it loads a part of it, and what it starts
WATCH = """
import json, os, sys

def hook(event, arguments, out=os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)):
    if event == "import" and arguments[0] in {late!r}:
        seen = [os.getpid(), "late", arguments[0]]
    elif event == "import" and "." in arguments[0]:
        seen = [os.getpid(), "import", arguments[0].partition(".")[0]]
    elif event == "subprocess.Popen":
        seen = [os.getpid(), "start", *map(str, arguments[1])]
    else:
        return
    os.write(out, json.dumps(seen).encode() + b"\\n")

sys.addaudithook(hook)
"""
# what libraries import at their own start, though a run needs nothing of it
LATE = {"scipy.stats", "pandas.core", "numpy.f2py", "spacy.cli", "rich.progress"}
READER = "pipelines.run.reading:read_sources"
RULES = "pipelines.run.contract_rules:run_rules"


class Watched:
    """A folder with a contract and a source, in which commands are watched."""

    def __init__(self, folder):
        self.home = gated.Home(folder)
        self.folder = folder
        self.log = folder / "seen.log"
        (folder / "watch").mkdir()
        text = WATCH.format(log=str(self.log), late=LATE)
        (folder / "watch" / "sitecustomize.py").write_text(text)

    def assay(self, *words, **env):
        """Run a command; return it, what all processes imported, and the children of the first."""
        self.log.write_bytes(b"")
        done = subprocess.run(
            [sys.executable, "-P", "-m", "pipelines.cli", *map(str, words)],
            env={**os.environ, "PYTHONPATH": f"{self.folder / 'watch'}:{ROOT}", **env},
            cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seen = [json.loads(line) for line in self.log.read_text().splitlines()]
        imported = {name for _, event, name, *_ in seen if event == "import"}
        first = seen[0][0]
        self.started = [words for _, event, *words in seen if event == "start"]
        self.late = {name for pid, event, name, *_ in seen if (pid, event) == (first, "late")}
        self.own = {name for pid, event, name, *_ in seen if (pid, event) == (first, "import")}
        started = [word for item in seen if item[1] == "start" for word in item[3:] if ":" in word]
        return done, imported, started


@pytest.fixture
def watched(tmp_path):
    return Watched(tmp_path)


def empty(folder):
    (folder / "a.csv").write_bytes(b"")
    return "I001"


def unclosed(folder):
    (folder / "a.csv").write_text('key,word\n1,"a\n2,b\n')
    return "I025"


def other_columns(folder):
    (folder / "a.csv").write_text("key,wort\n1,a\n")
    return "I018"


def something_else(folder):
    pq.write_table(pa.table({"key": [1], "word": ["a"]}), folder / "a.csv")
    return "I004"


WAYS = {
    "direct": (["--direct"], {}),
    "flow": (["--flow"], {}),
    "a server that is silent": ([], {"PREFECT_API_URL": "http://127.0.0.1:9/api"}),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("fault", [empty, unclosed, other_columns, something_else])
def test_a_refused_source_costs_its_reading_alone(watched, fault, way):
    code = fault(watched.folder)
    words, env = WAYS[way]
    done, imported, started = watched.assay(
        "run", "c.yaml", "--source", "a.csv", "--store", "store", *words, **env
    )
    assert f"ASSAY-{code}" in done.stderr, done.stderr
    assert done.returncode == 3
    assert started == [READER]
    assert "pyarrow" in imported  # the hook is at work
    assert not imported & HEAVY


@pytest.mark.parametrize("option", ["--reference", "test"])
def test_so_does_a_refused_reference_or_test_set(watched, option):
    (watched.folder / "b.csv").write_text('key,word\n1,"a\n')
    words = ["--reference", "b.csv"]
    if option == "test":
        words = []
        contract = (watched.folder / "c.yaml").read_text()
        contract += "customProperties:\n  - property: assay.checks\n"
        contract += "    value: {duplicates: {test: b.csv}}\n"
        (watched.folder / "c.yaml").write_text(contract)
    done, imported, started = watched.assay(
        "run", "c.yaml", "--source", "a.csv", "--store", "store", "--flow", *words
    )
    assert "ASSAY-I025" in done.stderr, done.stderr
    assert started == [READER]
    assert not imported & HEAVY


def test_what_is_slow_starts_while_a_large_source_is_read(watched):
    """The source is refused in its last row, when the rules' child has long been started."""
    lines = [f'{number},"{"word " * 200}"\n' for number in range(32_000)]  # eight blocks
    (watched.folder / "a.csv").write_text("".join(["key,word\n", *lines, '32000,"a\n']))
    done, _, started = watched.assay(
        "run", "c.yaml", "--source", "a.csv", "--store", "store", "--direct"
    )
    assert "ASSAY-I025" in done.stderr, done.stderr
    assert started == [READER, RULES]


def test_a_small_run_imports_what_its_checks_use_alone(watched):
    words = ["run", "c.yaml", "--source", "a.csv", "--store", "store", "--direct"]
    done, _, started = watched.assay(*words)
    assert done.returncode == 0, done.stderr
    assert started == [READER, RULES]
    assert watched.own & HEAVY <= {"scipy", "jinja2"}  # duplicates, and the report


def test_a_run_has_its_patterns_and_queries_inspected_once(watched):
    lines = (watched.folder / "c.yaml").read_text()
    lines += "    quality:\n      - {type: sql, query: 'SELECT count(*) FROM parts', mustBe: 40}\n"
    (watched.folder / "c.yaml").write_text(lines)
    done, *_ = watched.assay("run", "c.yaml", "--source", "a.csv", "--store", "store", "--direct")
    assert done.returncode == 0, done.stderr
    inspectors = [words for words in watched.started if "query_inspector" in " ".join(words)]
    assert len(inspectors) == 1


def test_a_run_with_models_imports_no_statistics_and_no_frames(watched):
    rng = random.Random(1)
    lines = ["kind,long,wide,word"]
    for number in range(300):
        kind, size = "abc"[number % 3], rng.gauss(number % 3, 0.5)
        lines.append(f"{kind},{size:.3f},{rng.random():.3f},{rng.choice(['x', 'y', ''])}")
    (watched.folder / "a.csv").write_text("\n".join(lines) + "\n")
    words = ["init", "a.csv", "--label", "kind", "-o", "labelled.yaml"]
    done, *_ = watched.assay(*words)
    assert done.returncode == 0, done.stderr
    words = ["run", "labelled.yaml", "--source", "a.csv", "--store", "store", "--direct", "--json"]
    done, *_ = watched.assay(*words)
    status = {item["check"]: item["status"] for item in json.loads(done.stdout)["checks"]}
    assert {status[name] for name in ("labels", "leakage", "outliers")} == {"ok"}
    assert {"sklearn", "cleanlab", "scipy"} <= watched.own
    assert not watched.late
    assert "pandas" not in watched.own


def test_a_gate_on_a_pass_imports_no_library_that_judges(watched):
    watched.home.passed()
    (watched.folder / "go.sh").write_text("#!/bin/sh\necho started\n")
    (watched.folder / "go.sh").chmod(0o755)
    done, imported, started = watched.assay(*watched.home.words(command=["./go.sh"]))
    assert (done.returncode, done.stdout) == (0, "started\n"), done.stderr
    assert "reusing run 1" in done.stderr
    assert not imported & HEAVY
    assert started == []


COMMANDS = (
    ["review", "1", "--list"],
    ["explain", "1", "3"],
    ["explain", "outliers.joint"],
    ["verify"],
    ["ledger", "log"],
    ["ledger", "show", "1"],
    ["ledger", "checkpoint", "-o", "note"],
    ["init", "--schema"],
    ["doctor"],
)


def test_commands_that_read_the_store_import_no_library_that_judges(watched):
    watched.home.passed()
    for words in COMMANDS:
        done, imported, started = watched.assay(*words, ASSAY_STORE="store")
        assert done.returncode == 0, done.stderr
        assert not imported & HEAVY, words
        assert started == []


ENDING = """
import atexit, sys
from pipelines import cli
run = cli.main
cli.main = lambda: (atexit.register(print, "handled"), run())[1]
cli.command()
"""


@pytest.mark.parametrize(("word", "code"), [("ASSAY-I035", 0), ("ASSAY-X999", 2)])
def test_a_command_ends_with_its_code_once_all_exit_handlers_have_run(word, code):
    command = [sys.executable, "-P", "-c", ENDING, "explain", word]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert word in done.stdout + done.stderr
    assert done.stdout.endswith("handled\n")


@pytest.mark.parametrize("buffered", [{}, {"PYTHONUNBUFFERED": "1"}], ids=["buffered", "not"])
@pytest.mark.parametrize(
    ("words", "output", "code", "told"),
    [
        ("explain ASSAY-X999 --json", ">/dev/full", 2, "ASSAY-C013"),
        ("explain ASSAY-I035 --json", ">/dev/full", 3, "ASSAY-E002"),
        ("explain ASSAY-X999 --json", ">/dev/full 2>&1", 2, ""),
        ("explain ASSAY-X999 --json", ">&-", 2, "ASSAY-C013"),
        ("explain ASSAY-I035 --json", ">&-", 0, ""),
        ("explain ASSAY-I035", ">&-", 0, ""),
        ("explain ASSAY-X999", "2>&-", 2, ""),
    ],
)
def test_an_output_that_takes_nothing_changes_no_exit_code(words, output, code, told, buffered):
    """A traceback ends with 1, which is also the code of data that failed."""
    command = f'"$0" -P -m pipelines.cli {words} {output}'
    env = {name: text for name, text in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(["/bin/sh", "-c", command, sys.executable], capture_output=True,
                          text=True, check=False, env=env | buffered)  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith(told) if told else not done.stderr
