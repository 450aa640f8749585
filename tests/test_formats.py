"""docs/formats.md and docs/roles.md: every example runs, and says what the page says."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines import cli

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("formats.md", "roles.md")}
SECTIONS = [part for page in PAGES.values() for part in page.split("\n## ")[1:] if "```sh" in part]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("section", SECTIONS, ids=[part.partition("\n")[0] for part in SECTIONS])
def test_every_example_says_what_the_page_says(tmp_path, monkeypatch, capsys, section):
    monkeypatch.chdir(tmp_path)
    for kind, block in BLOCK.findall(section):
        if kind == "python":
            subprocess.run([sys.executable, "-c", block], check=True)
            continue
        before, command, after = re.split(r"^(assay .*)$", block, flags=re.MULTILINE)
        subprocess.run(["/bin/sh", "-c", before], check=True, env=dict(os.environ))
        assert cli.main(command.split()[1:]) == 0
        printed = capsys.readouterr().out
        told = [line for line in after.splitlines() if line.startswith("#")]
        for line in told:
            assert line.removeprefix("# ") in printed
        assert told
        subprocess.run(["/bin/sh", "-ec", after], check=True, env=dict(os.environ))


@pytest.mark.parametrize("page", PAGES.values(), ids=list(PAGES))
def test_the_table_links_every_section(page):
    titles = re.findall(r"^## (.+)$", page, re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
    assert anchors == set(re.findall(r"\]\(#([\w-]+)\)", page))
