"""The README's own blocks, run as a newcomer would run them, in their order, in one folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
NUMBER = r"\d[\d,]*(?:\.\d+)?"
READY = ROOT / ".venv" / ".ready"
TRAIN = """
import os, pathlib
import pyarrow.parquet as pq
rows = sum(pq.read_metadata(p).num_rows for p in pathlib.Path(os.environ["ASSAY_CLEAN"]).iterdir())
print("trained on", rows, "rows of run", os.environ["ASSAY_RUN"])
"""


def block(kind, holding):
    """Return the one block of a kind that holds a text."""
    (found,) = [text for told, text in FENCED if told == kind and holding in text]
    return found


def commands(text):
    """Return a console block's lines after their prompts."""
    return [line[2:] for line in text.splitlines() if line.startswith("$ ")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder as a fresh clone is, with an environment that is ready."""
    if not READY.is_file():
        pytest.skip("run `make setup` first")
    folder = tmp_path_factory.mktemp("readme")
    for name in ("Makefile", "pyproject.toml", "uv.lock"):
        shutil.copy2(ROOT / name, folder / name)
    shutil.copytree(ROOT / "data_samples", folder / "data_samples")
    (folder / "provenance").mkdir()
    verifier = Path("provenance") / "standalone_verify.py"
    shutil.copy2(ROOT / verifier, folder / verifier)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    (folder / "train.py").write_text(TRAIN)
    return folder


@pytest.fixture(scope="module")
def said(folder):
    """What each block printed to stdout and stderr, all run in turn."""
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("ASSAY_", "PREFECT_"))}
    environ["XDG_CONFIG_HOME"] = str(folder / "config")
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    told = {}
    for name, script in {
        "demo": "\n".join(commands(block("console", "make demo"))),
        "own": "set -e\n" + "\n".join(commands(block("console", "assay init"))),
        "gate": block("sh", "assay gate"),
        "desk": block("sh", "--apply"),
        "proof": "set -e\n" + block("sh", "ledger checkpoint"),
        "notebook": f"python - <<'END'\n{block('python', 'assay.run')}END\n",
    }.items():
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, env=environ, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        told[name] = done.stdout + done.stderr
    return told


def test_the_demo_prints_what_the_readme_shows(said):
    shown, printed = block("text", "make demo"), said["demo"]
    begin = printed.index(" checks  ")  # after the lines of the stages
    words = [re.split(NUMBER, text) for text in (shown.partition("\n")[2], printed[begin:])]
    # line ends may move with the width of a number
    told, seen = (" ".join(parts).split() for parts in words)
    assert seen[: len(told)] == told
    pairs = zip(figures(shown), figures(printed[begin:]), strict=False)
    # another processor may round a model's sums otherwise, and a row falls on the other side
    assert all(a == pytest.approx(b, rel=0.05, abs=3) for a, b in pairs)


def figures(text):
    return [float(number.replace(",", "")) for number in re.findall(NUMBER, text)]


def test_a_table_of_ones_own_passes_and_verifies(said):
    assert re.search(r"verdict +pass", said["own"])
    assert "row 42" in said["own"]


def test_the_gate_starts_the_training_job(said):
    assert "trained on 12000 rows of run 2" in said["gate"]


def test_decisions_are_released_and_their_story_told(said):
    assert "recorded 1 relabel, 1 release on run 1" in said["desk"]
    assert "row 871 of run 1: quarantine" in said["desk"]
    assert re.search(r"release 5: clean", said["desk"])


def test_a_row_is_proven_to_a_stranger(said):
    lines = said["proof"].splitlines()
    assert any(line.startswith("holds: ") and "a checkpoint of" in line for line in lines)
    assert lines[-1] == "holds"


def test_a_frame_is_examined_and_comes_back_clean(said):
    assert "pass 12000 (12000, 15)" in said["notebook"]


def test_every_make_target_that_the_readme_names_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^\$ |^)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_every_file_that_the_readme_names_exists():
    for name in re.findall(r"\b((?:docs|benchmarks|data_samples)/[\w./-]+)", README):
        assert list(ROOT.glob(name.rstrip(".") + "*")), name
