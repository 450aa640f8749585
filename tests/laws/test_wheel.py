"""The wheel as others install it: `assay.py`, three packages with their templates, no more."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UV = ROOT / ".uv" / "bin" / "uv"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    uv = str(UV) if UV.is_file() else shutil.which("uv")
    if uv is None:
        pytest.skip("uv is not here: run `make setup`")
    made = tmp_path_factory.mktemp("wheel")
    command = [uv, "build", "--wheel", "--quiet", "--offline", "--out-dir", str(made), str(ROOT)]
    done = subprocess.run(
        [*command, "--python", sys.executable, "--no-build-isolation"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (path,) = made.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_the_public_module_three_packages_and_no_more(wheel):
    names = wheel.namelist()
    tops = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert tops == {"assay.py", "pipelines", "checks", "provenance"}
    assert all(
        name.endswith((".py", ".j2", ".css", ".js", ".json", ".yml", ".typed"))
        for name in names
        if "dist-info" not in name
    )


def test_the_wheel_holds_every_file_of_the_packages(wheel):
    tracked = subprocess.run(
        ["git", "ls-files", "assay.py", "pipelines", "checks", "provenance"],
        capture_output=True, text=True, cwd=ROOT, check=False,
    ).stdout.split()  # fmt: skip
    assert not set(tracked) - set(wheel.namelist())
    (entry,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "assay = pipelines.cli:command" in wheel.read(entry).decode()
