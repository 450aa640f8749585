"""Nothing is done on the word of a ledger that does not hold, and no pass is stretched."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cli import main
from pipelines.run.child_process import Child

ASSAY = str(Path(sys.executable).parent / "assay")
CELL = "4532 0151 1283 0366"


@pytest.fixture
def told(capsys):
    """Run a command in this process; return its exit code and its object."""

    def tell(*words):
        capsys.readouterr()
        code = main([*map(str, words)])
        printed = capsys.readouterr().out
        return code, json.loads(printed.splitlines()[0]) if printed else None

    return tell


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A small honest table, its contract and an empty store."""
    draw = np.random.default_rng(4)
    size = draw.normal(10, 3, 200).round(2)
    lines = [f"k{i:03d},{x},{'big' if x > 10 else 'small'}" for i, x in enumerate(size)]
    (tmp_path / "a.csv").write_text("\n".join(["key,size,kind", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "store"))
    assert main(["init", "a.csv", "--label", "kind", "--key", "key", "-o", "c.yaml"]) == 0
    return tmp_path


def edit_entry(home, number):
    path = home / "store" / "ledger" / "entries" / f"{number:012}.parquet"
    table = pq.read_table(path)
    item = table.to_pylist()[0]
    item["body"] = item["body"].replace(b'"verdict":"pass"', b'"verdict":"fail"')
    item["body"] = item["body"].replace(b'"decision', b'"Decision')
    pq.write_table(pa.Table.from_pylist([item], table.schema), path)


def test_an_edited_entry_stops_gate_release_and_review(home, told):
    assert told("run", "c.yaml", "--direct", "--json")[0] == 0
    edit_entry(home, 1)
    for words in (
        ["gate", "c.yaml", "--json", "--", "touch", "started"],
        ["release", "1", "--json"],
        ["review", "1", "--list", "--json"],
        ["run", "c.yaml", "--direct", "--json"],
    ):
        code, object_ = told(*words)
        assert (code, object_["error"]["code"]) == (4, "ASSAY-L004"), words
    assert not (home / "started").exists()


def test_an_edited_entry_in_the_midst_is_neither_added_to_nor_told(home, told):
    for _ in range(2):
        assert told("run", "c.yaml", "--direct", "--json")[0] == 0
    edit_entry(home, 1)
    for words in (
        ["run", "c.yaml", "--direct", "--json"],
        ["ledger", "log", "--json"],
        ["ledger", "show", "1", "--json"],
        ["explain", "1", "0", "--json"],
        ["explain", "2", "0", "--json"],
    ):
        code, object_ = told(*words)
        assert (code, object_["error"]["code"]) == (4, "ASSAY-L004"), words
    assert len(list((home / "store" / "ledger" / "entries").iterdir())) == 3


def test_a_missing_and_a_swapped_entry_are_told_by_who_only_reads(home, told):
    for _ in range(3):
        assert told("run", "c.yaml", "--direct", "--json")[0] == 0
    folder = home / "store" / "ledger" / "entries"
    second = folder / f"{2:012}.parquet"
    whole = second.read_bytes()
    for code, content in (("L001", None), ("L005", (folder / f"{1:012}.parquet").read_bytes())):
        second.unlink()
        if content:
            second.write_bytes(content)
        for words in (["ledger", "log", "--json"], ["explain", "1", "0", "--json"]):
            exit_code, object_ = told(*words)
            assert (exit_code, object_["error"]["code"]) == (4, f"ASSAY-{code}"), words
        second.write_bytes(whole)
    assert told("ledger", "log", "--json")[0] == 0


def test_the_verdict_names_the_rule_that_holds_most(home, told):
    text = (home / "a.csv").read_text().splitlines()
    held = [f"{line},x{n}@example.org" for n, line in enumerate(text[1:])]
    (home / "b.csv").write_text("\n".join([f"{text[0]},mail", *held]) + "\n")
    words = ["init", "b.csv", "--label", "kind", "--key", "key", "-o", "d.yaml"]
    assert main(words) == 0
    written = (home / "d.yaml").read_text()
    assert "check: rows with EMAIL_ADDRESS go to quarantine until assay.pii says" in written
    code, object_ = told("run", "d.yaml", "--direct", "--json")
    lost, reason = object_["reasons"]
    assert lost["code"] == "ASSAY-K025"  # both classes go with it
    assert (code, reason["code"]) == (1, "ASSAY-K011")
    assert "200 of them by pii.EMAIL_ADDRESS in 'mail'" in reason["message"]


@pytest.mark.usefixtures("home")
def test_a_reused_pass_prints_its_object_and_a_laxer_one_is_not_reused(told):
    assert told("run", "c.yaml", "--direct", "--json")[0] == 0
    command = ["gate", "c.yaml", "--json", "--", sys.executable, "-c", "raise SystemExit(7)"]
    code, object_ = told(*command)
    assert (code, object_["run"], object_["verdict"]) == (7, 1, "pass")
    assert object_["rows"]["source"] == 200
    code, object_ = told(*command[:3], "--fail-on", "warning", *command[3:])
    assert object_["run"] == 3  # entry 2 says who got the first one


def test_a_gate_never_waits_for_a_pipe(home, told):
    assert told("run", "c.yaml", "--direct", "--json")[0] == 0
    os.mkfifo(home / "pipe.csv")
    code, object_ = told("gate", "c.yaml", "--source", "pipe.csv", "--json", "--", "true")
    assert (code, object_["error"]["code"]) == (3, "ASSAY-I010")


def test_an_unforeseen_error_in_a_child_tells_no_cell(tmp_path):
    (tmp_path / "loud.py").write_text(f"def stage():\n    raise ValueError('the cell is {CELL}')\n")
    code = (
        "from pipelines.run.child_process import Child\n"
        "child = Child('loud:stage')\n"
        "try:\n    child.call()\n"
        "except Exception as error:\n    print(error)\n"
        "finally:\n    child.stop()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "E104: unexpected ValueError" in done.stdout
    assert "loud.py:2" in done.stdout
    assert CELL not in done.stdout + done.stderr


def test_a_child_that_dies_before_it_is_asked_is_told():
    code = (
        "import time, sys\n"
        "from pipelines.run.child_process import Child\n"
        "child = Child('os:getpid', warm=('no_such_module',))\n"
        "child._process.wait()\n"
        "try:\n    child.call(text='x' * 100_000)\n"
        "except Exception as error:\n    print(error)\n"
        "finally:\n    child.stop()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ASSAY-E005" in done.stdout, done.stderr
    assert done.returncode == 0


def test_rules_that_die_are_a_finding_and_the_run_commits(home, told, monkeypatch):
    before = Child.call

    def call(self, **named):
        if "run_rules" in self._target:
            self._process.kill()
        return before(self, **named)

    monkeypatch.setattr(Child, "call", call)
    code, object_ = told("run", "c.yaml", "--direct", "--json")
    assert (code, object_["verdict"], object_["run"]) == (3, "fail", 1)
    assert "ASSAY-K001" in {reason["code"] for reason in object_["reasons"]}
    [contract] = [check for check in object_["checks"] if check["check"] == "contract"]
    assert contract["status"] == "failed"
    assert (home / "store" / "runs" / "000000000001" / "report.html").is_file()


def test_a_gate_hands_a_termination_on_and_returns_the_commands_code(home):
    assert main(["run", "c.yaml", "--direct"]) == 0
    job = "trap 'exit 9' TERM; touch started; while :; do sleep 0.05; done"
    gate = subprocess.Popen([ASSAY, "gate", "c.yaml", "--", "sh", "-c", job])
    until = time.monotonic() + 60
    while not (home / "started").exists() and time.monotonic() < until:
        time.sleep(0.05)
    gate.send_signal(signal.SIGTERM)
    assert gate.wait(30) == 9


def test_a_committed_run_is_named_where_stdout_takes_nothing(home):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [ASSAY, "run", "c.yaml", "--direct"],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 3
    assert "run 1 is committed, but stdout cannot be written" in done.stderr
    assert (home / "store" / "runs" / "000000000001").is_dir()


def test_a_file_that_decides_twice_on_a_row_is_refused(home, told):
    assert told("run", "c.yaml", "--direct", "--json")[0] == 0
    (home / "d.csv").write_text("row,decision\n3,release\n4,reject\n3,reject\n")
    code, object_ = told("review", "1", "--apply", "d.csv", "--json")
    assert (code, object_["error"]["code"]) == (2, "ASSAY-C014")
    assert object_["error"]["where"] == "d.csv:2 and d.csv:4"


def test_a_release_says_what_its_base_did_not_check(home, told):
    code, first = told("run", "c.yaml", "--direct", "--json")
    assert code == 0
    (home / "d.csv").write_text("row,decision\n3,reject\n")
    assert told("review", "1", "--apply", "d.csv", "--json")[0] == 0
    code, again = told("release", "1", "--json")
    assert (code, again["rows"]["clean"]) == (0, 199)
    assert again["warnings"] == first["warnings"]
    assert {check["check"]: check["findings"] for check in again["checks"]} == {
        check["check"]: check["findings"] for check in first["checks"]
    }


def test_half_a_command_is_c012_and_a_number_that_cannot_be_is_no_accident(home, told):
    assert told("run", "c.yaml", "--direct", "--json")[0] == 0
    for words in (
        ["explain", "latest"], ["review", "1", "--list", "--limit", "-3"],
        ["review", "1", "--list", "--limit", "9" * 19], ["ledger", "show", "9" * 5000],
        ["gate", "c.yaml", "--max-age", "999999d", "--", "true"],
    ):  # fmt: skip
        place = words.index("--") if "--" in words else len(words)
        code, object_ = told(*words[:place], "--json", *words[place:])
        assert (code, object_["error"]["code"]) == (2, "ASSAY-C012"), words
    for words in (
        ["explain", "1", "9" * 5000], ["explain", "1", "9" * 19], ["verify", "9" * 5000],
        ["verify", "1", "--row", "9" * 5000], ["ledger", "prove", "9" * 5000],
    ):  # fmt: skip
        code, object_ = told(*words, "--json")
        assert (code, object_["error"]["code"]) == (2, "ASSAY-C013"), words[:2]
    assert (home / "store").is_dir()


def test_a_ledger_that_is_not_there_is_not_an_empty_one(told):
    code, object_ = told("ledger", "log", "--store", "nowhere", "--json")
    assert (code, object_["error"]["code"]) == (2, "ASSAY-C013")
