"""`benchmarks/speed.py` counts all processes of a command, and each round starts as it says."""

import importlib.util
import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BURN = "import time\nwhile time.process_time() < 0.5: pass"
# a child of the command that works and holds 100 MB
FAMILY = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}], check=True)"
HOARD = "import subprocess, sys; subprocess.run([sys.executable, '-c', {!r}], check=True)".format(
    "held = bytearray(b'x') * (100 << 20)\nimport time\ntime.sleep(1)"
)


@pytest.fixture(scope="module")
def speed():
    spec = importlib.util.spec_from_file_location("speed", ROOT / "benchmarks/speed.py")
    made = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    sys.modules["speed"] = made  # its dataclass looks itself up
    spec.loader.exec_module(made)
    yield made
    sys.path[:] = before
    del sys.modules["speed"]


def test_the_children_of_a_command_are_counted(speed, tmp_path):
    command = [sys.executable, "-c"]
    busy = speed.measured([*command, FAMILY], tmp_path, dict(os.environ), (0,))
    large = speed.measured([*command, HOARD], tmp_path, dict(os.environ), (0,))
    assert busy.cpu >= 0.5
    assert large.peak >= 100


def test_a_command_that_ends_otherwise_is_no_figure(speed, tmp_path):
    command = [sys.executable, "-c", "print('no table'); raise SystemExit(3)"]
    with pytest.raises(SystemExit, match="ended with 3\nno table"):
        speed.measured(command, tmp_path, dict(os.environ), (0, 1))


def test_a_folder_that_is_no_version_is_refused(speed, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit, match="neither"):
        speed.Bench(tmp_path, tmp_path / "empty")


def test_a_bad_input_is_refused_by_both_versions(speed, tmp_path):
    checkout = tmp_path / "checkout"  # without an environment: its code, under this Python
    checkout.mkdir()
    for name in ("pipelines", "checks", "provenance"):
        (checkout / name).symlink_to(ROOT / name)
    bench = speed.Bench(tmp_path, checkout)
    source, contract = next(bench.bad())
    words = ["run", str(contract), "--source", source, "--direct", "--store", "bad"]
    ours, other = bench.versions
    assert other.environment["PYTHONPATH"] == str(checkout)
    for version in (ours, other):
        assert version.run(words, version.home / "cache", speed.REFUSED).cpu > 0
        assert not (version.home / "bad" / "runs" / "000000000001").exists()


def test_medians_stand_beside_the_peer(speed):
    seen = {
        "imports": [speed.Cost(1.0, 2.0, 10.0)] * 3,
        "this": [speed.Cost(cpu, 5.0, 1000.0) for cpu in (9.0, 3.0, 4.0)],
    }
    assert list(speed.lines("a run", seen, 0.5)) == [
        "| a run | imports | 1.00 | 2.00 | 10 | 1.00 | 0.5 |",
        "| a run | this | 4.00 | 5.00 | 1,000 | 4.00 | 0.5 |",
    ]


@pytest.mark.long
def test_a_new_contract_meets_an_empty_store_and_a_known_one_the_same_again(speed, tmp_path):
    bench = speed.Bench(tmp_path, None)
    bench.row(speed.ROWS["new"], 2)
    home = bench.versions[0].home
    assert not list(home.glob("*/runs"))
    assert list(bench.row(speed.ROWS["known"], 2)) == ["imports", "this"]
    assert len(list(home.glob("store-*/runs/*"))) == 3  # two rounds, and one to fill the store
