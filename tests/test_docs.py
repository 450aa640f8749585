"""The documentation: the tutorial's commands, every link, and every environment variable."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TUTORIAL = (DOCS / "tutorial.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
SAVED = {"csv": "decisions.csv", "python": "train.py"}
MARK = "<< exit code "
# variables that Assay sets itself, for a process that it starts
INTERNAL = {"ASSAY_NIGHTLY"}


def pages():
    """Return every page, as paths."""
    return [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file(page):
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        found = page.parent / name if name else page
        assert found.exists(), target
        if anchor:
            assert anchor in anchors(found), target


def anchors(page):
    """Return the anchors of a page's headings, as GitHub forms them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_environment_variable_is_documented_and_every_documented_one_is_read():
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "pipelines").rglob("*.py")]
    read = set(re.findall(r"[\"'](ASSAY_[A-Z_]+)[\"']", "\n".join(sources)))
    page = (DOCS / "environment.md").read_text(encoding="utf-8")
    assert read - INTERNAL == set(re.findall(r"\bASSAY_[A-Z_]+\b", page))


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """What each command of the tutorial prints, and its exit code, in the page's order."""
    folder = tmp_path_factory.mktemp("clone")
    shutil.copytree(ROOT / "data_samples", folder / "data_samples")
    environ = {n: v for n, v in os.environ.items() if not n.startswith(("ASSAY_", "PREFECT_"))}
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        environ[name] = str(folder / name)
    environ["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environ['PATH']}"
    results = []
    for kind, text in BLOCK.findall(TUTORIAL):
        if kind == "console":
            start = folder / "tutorial" if results else folder
            results += run(list(transcript(text)), start, environ)
        elif kind == "diff":
            edit(folder / "tutorial" / "contract.yaml", text)
        else:
            (folder / "tutorial" / SAVED[kind]).write_text(text, encoding="utf-8")
    return results


def transcript(text):
    """Yield each command of a console block with what the page shows of its output."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def run(commands, folder, environ):
    """Return (command, shown, printed, exit code) for commands run in one shell."""
    lines = [f"{command}; code=$?; echo '{MARK}'$code; (exit $code)" for command, _ in commands]
    done = subprocess.run(
        ["bash", "-c", "exec 2>&1\n" + "\n".join(lines)],
        cwd=folder, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    outputs = re.findall(rf"(.*?){MARK}(\d+)\n", done.stdout, re.DOTALL)
    assert len(outputs) == len(commands), done.stdout
    return [
        (command, shown, output, int(code))
        for (command, shown), (output, code) in zip(commands, outputs, strict=True)
    ]


def edit(path, diff):
    """Make the change that a diff block shows."""
    before, after = (
        "".join(line[1:] for line in diff.splitlines(keepends=True) if line[0] != other)
        for other in "+-"
    )
    text = path.read_text(encoding="utf-8")
    assert text.count(before) == 1, diff
    path.write_text(text.replace(before, after), encoding="utf-8")


def plain(text):
    """Return a text without its numbers, digests and line ends, which may differ."""
    return " ".join(re.sub(r"\b[0-9a-f]{8,}\b|\d+(?:[.,]\d+)*", "#", text).split())


@pytest.mark.long
def test_the_tutorial_prints_what_it_shows(printed):
    for command, shown, output, _ in printed:
        rest = plain(output)
        for part in filter(None, map(plain, shown.split("..."))):
            assert part in rest, (command, output)
            rest = rest.partition(part)[2]


@pytest.mark.long
def test_the_tutorial_goes_from_a_pass_over_a_fail_to_a_training_job(printed):
    codes = [code for command, _, _, code in printed if command.startswith("assay ")]
    assert [code for code in codes if code] == [1]
    runs = [output for command, _, output, _ in printed if re.match("assay (run|release)", command)]
    words = [re.search(r"^ verdict (\w+)$", output, re.MULTILINE)[1] for output in runs]
    assert words == ["pass", "fail", "pass", "pass"]
    (job,) = [output for command, _, output, _ in printed if command.startswith("assay gate")]
    assert re.search(r"^trained on 19\d{3} rows of run 5$", job, re.MULTILINE)
    assert printed[-1][2].startswith("holds: ")
