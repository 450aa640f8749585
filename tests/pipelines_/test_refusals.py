"""Bad input through the command line: the code, the exit code, no traceback, nothing left."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import few_rows
import pytest

from pipelines.cli import main

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "data_samples"
ASSAY = str(Path(sys.executable).parent / "assay")
CONTRACT = (SAMPLES / "contract.yaml").read_text()


@pytest.fixture
def refused(warm, tmp_path):
    """Return (exit code, error object) of a command that must refuse."""

    def run(*words, user=None):
        env = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "ASSAY_STORE": str(tmp_path / "store")}
        done = warm.run(*words, env=env, cwd=tmp_path, user=user)
        assert "Traceback" not in done.errors
        assert (done.told["verdict"], done.told["run"]) == ("error", None)
        error = done.told["error"]
        assert error["code"] in done.errors
        assert error["message"]
        assert error["fix"]
        return done.code, error

    return run


@pytest.fixture
def few():
    """The contract of a table of thirty rows, in a folder of its own directly under /tmp."""
    with tempfile.TemporaryDirectory() as folder:
        yield few_rows.write(Path(folder), 30)


def source(tmp_path, content, name="in.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return ["--source", path]


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("in.csv", b"", "I001"),
        ("in.csv", b"\n\n\n", "I001"),
        ("in.csv", b"PAR1" + bytes(50) + b"PAR1", "I004"),
        ("in.csv", b"<!DOCTYPE html><html><body>404</body></html>", "I004"),
        ("in.csv", b"loan_id;age\nL-000001;30\n", "I038"),
        ("in.csv", b"loan_id,loan_id\nL-000001,30\n", "I026"),
        ("in.csv", b"loan_id,age\nL-000001,30\n", "I018"),
        ("in.parquet", b"a,b\n1,2\n", "I004"),
        ("in.csv", "a,b\n1,2\n".encode("utf-16"), "I021"),
    ],
)
def test_sources_that_cannot_be_read(refused, tmp_path, name, content, code):
    words = ["run", SAMPLES / "contract.yaml", *source(tmp_path, content, name), "--direct"]
    exit_code, error = refused(*words)
    assert (exit_code, error["code"]) == (3, f"ASSAY-{code}")
    assert not (tmp_path / "store").exists()


def test_a_missing_source_and_a_missing_contract(refused, tmp_path):
    words = ["run", SAMPLES / "contract.yaml", "--source", tmp_path / "none.csv", "--direct"]
    exit_code, error = refused(*words)
    assert (exit_code, error["code"]) == (3, "ASSAY-I014")
    exit_code, error = refused("run", tmp_path / "none.yaml")
    assert (exit_code, error["code"]) == (2, "ASSAY-C011")
    assert not (tmp_path / "store").exists()


def test_a_pipe_is_refused_at_once(refused, tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    words = ["run", SAMPLES / "contract.yaml", "--source", tmp_path / "pipe.csv", "--direct"]
    exit_code, error = refused(*words)
    assert (exit_code, error["code"]) == (3, "ASSAY-I010")


@pytest.mark.parametrize(
    ("old", "new", "code", "nearest"),
    [
        ("        required: true\n", "        requierd: true\n", "C004", "required"),
        ("            column: rate\n", "            column: rat\n", "C007", "rate"),
        ("      - name: amount\n", "      - name: age\n", "C008", ""),
        ("          maximum: 100\n", "          maximum: 10\n", "C008", ""),
        ("'^L-[0-9]{6}$'", "'^(?=L)L-[0-9]{6}$'", "C006", ""),
        ("    value: reference.parquet", "    value: ../../../etc/passwd", "C010", ""),
        ("kind: DataContract\n", "kind: DataContract\nkind: DataContract\n", "C003", ""),
        ("name: loans\n", "name: &a loans\nid2: *a\n", "C001", ""),
        ("  - name: loans\n", "  - name: !!python/name:os.system loans\n", "C002", ""),
    ],
)
def test_contracts_that_are_wrong(refused, tmp_path, old, new, code, nearest):
    assert old in CONTRACT
    path = tmp_path / "contract.yaml"
    path.write_text(CONTRACT.replace(old, new, 1))
    words = ["run", path, "--source", SAMPLES / "loans_clean.csv", "--direct"]
    exit_code, error = refused(*words)
    assert (exit_code, error["code"]) == (2, f"ASSAY-{code}"), error
    assert nearest in error["message"] + error["fix"]
    assert "contract.yaml:" in error["where"]
    assert not (tmp_path / "store").exists()


def test_an_unknown_label_is_named_with_the_nearest(refused, tmp_path):
    words = ["init", SAMPLES / "loans_clean.csv", "--label", "defaultd"]
    exit_code, error = refused(*words, "-o", tmp_path / "c.yaml")
    assert (exit_code, error["code"]) == (2, "ASSAY-C007")
    assert "defaulted" in error["message"] + error["fix"]
    assert not (tmp_path / "c.yaml").exists()


def test_a_store_that_is_a_file(refused, tmp_path):
    (tmp_path / "store").write_text("kept")
    words = ["run", SAMPLES / "contract.yaml", "--direct", "--store", tmp_path / "store"]
    exit_code, error = refused(*words)
    assert (exit_code, error["code"]) == (3, "ASSAY-E109")
    assert (tmp_path / "store").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become someone who may not write")
def test_a_store_that_may_not_be_written(refused, few):
    few.parent.chmod(0o755)
    words = ["run", few, "--direct", "--store", "/usr/assay-store"]
    exit_code, error = refused(*words, user=65534)
    assert (exit_code, error["code"]) == (3, "ASSAY-E003")
    assert not Path("/usr/assay-store").exists()


def is_gone(group):
    """Wait for the last process of a group to end: a child may be on its way out."""
    for _ in range(200):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


@pytest.mark.parametrize(
    ("seconds", "existing", "number"),
    [
        pytest.param(0.8, False, signal.SIGINT, marks=pytest.mark.long),
        (1.5, False, signal.SIGTERM),
        pytest.param(1.5, True, signal.SIGINT, marks=pytest.mark.long),
        (0.8, True, signal.SIGTERM),
    ],
)
def test_an_interrupt_in_mid_run_leaves_the_store_as_it_was(
    tmp_path, few, seconds, existing, number
):
    store = tmp_path / "store"
    if existing:
        assert main(["run", str(few), "--direct", "--store", str(store)]) == 0
    before = sorted(store.rglob("*"))
    words = ["run", SAMPLES / "contract.yaml", "--direct", "--json", "--store", store]
    process = subprocess.Popen(
        [ASSAY, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    time.sleep(seconds)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err
    assert process.returncode == 130, err
    assert json.loads(out)["error"]["code"] == "ASSAY-E130"
    assert sorted(store.rglob("*")) == before
    assert is_gone(process.pid)  # no child is left behind


def test_a_killed_run_is_swept_by_the_next(tmp_path, few):
    store = tmp_path / "store"
    words = [ASSAY, "run", SAMPLES / "contract.yaml", "--direct", "--store", store]
    process = subprocess.Popen(words, stderr=subprocess.PIPE, start_new_session=True)
    until = time.monotonic() + 60
    while not list(store.glob("staging/*/out")) and time.monotonic() < until:
        assert process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert list((store / "staging").iterdir())
    assert main(["run", str(few), "--direct", "--store", str(store)]) == 0
    assert not list((store / "staging").iterdir()) if (store / "staging").exists() else True
    assert main(["verify", "--store", str(store)]) == 0
