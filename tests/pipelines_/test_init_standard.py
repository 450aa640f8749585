"""Proposed contracts are of the standard: by its JSON Schema, and by datacontract-cli's lint."""

import datetime as dt
import importlib.resources
import json
import os
import shutil
import subprocess

import jsonschema
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from proposed_contracts import write_csv

from checks.contract.loader import load
from pipelines.proposal import propose
from pipelines.proposal.columns import Seen
from pipelines.proposal.contract_yaml import Proposal, contract_text
from provenance.readers import ingest
from provenance.readers.csv_dialect import Dialect

TOOL = os.environ.get("DATACONTRACT", "datacontract")
STORES = (
    "s3://b/x.csv",
    "gs://b/x.parquet",
    "az://c/x.jsonl",
    "abfss://c@a.dfs.core.windows.net/x",
)


def columns(rows):
    return {
        "id": [f"L-{n:04d}" for n in range(rows)],
        "seldom_id": [str(10_000_019 * (n + 3) % 99_999_989) for n in range(rows)],
        "amount": [f"{n * 7.25:.2f}" if n % 9 else "NA" for n in range(rows)],
        "whole": [n % 50 for n in range(rows)],
        'odd "name": #': ["x: y", "yes", "it's"][: max(1, rows % 4)] * rows,
        "when": [f"2026-01-{1 + n % 28:02d}T10:00:00" for n in range(rows)],
        "created_at": [f"2026-01-{1 + n % 28:02d}" for n in range(rows)],
        "branch": [("north", "south")[n % 2] for n in range(rows)],
        "nothing": [""] * rows,
        "surname": [f"Name{n}" for n in range(rows)],
        "note": [f"this is the note of row {n}" for n in range(rows)],
        "label": [("good", "bad")[n % 7 < 3] for n in range(rows)],
    }


def proposals(folder):
    """Yield (name, text) of proposed contracts of every kind."""
    limits = ingest.Limits.of({})
    for rows in (5, 60, 4000):
        given = {key: cells[:rows] for key, cells in columns(rows).items()}
        path = write_csv(folder / f"in-{rows}.csv", given)
        read = ingest.ingest([str(path)], None, folder / f"read-{rows}", limits=limits)
        dialect = Dialect(";", "'", "cp1252") if rows == 60 else None
        more = {"source": str(path), "contract_folder": folder, "dialect": dialect}
        yield f"csv-{rows}", propose.propose(read, name=f"t {rows}", **more)[0]
    moments = {"flag": [True, False] * 30, "day": [dt.date(2026, 1, 1)] * 60,
               "at": pa.array([dt.datetime(2026, 1, 1)] * 60, pa.timestamp("ms")),  # noqa: DTZ001
               "clock": [dt.time(3)] * 60}  # fmt: skip
    pq.write_table(pa.table(moments), folder / "in.parquet")
    read = ingest.ingest([str(folder / "in.parquet")], None, folder / "typed", limits=limits)
    more = {"source": str(folder / "in.parquet"), "contract_folder": folder}
    yield "parquet", propose.propose(read, name="typed", **more)[0]
    for number, path in enumerate((*STORES, "folder")):
        form = "delta" if path == "folder" else "csv"
        facts = {"name": "x", "rows": 99, "path": path, "form": form, "settings": {}}
        yield f"store-{number}", contract_text([Proposal(Seen("x"))], **facts)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("standard")
    for name, text in proposals(folder):
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return sorted(folder.glob("*.yaml"))


def test_they_are_valid_by_the_standards_schema(written):
    held = importlib.resources.files("open_data_contract_standard") / "schema.json"
    schema = json.loads(held.read_text(encoding="utf-8"))
    judge = jsonschema.validators.validator_for(schema)(schema)
    assert len(written) == 9
    for path in written:
        told = yaml.safe_load(path.read_text(encoding="utf-8"))
        assert [error.message for error in judge.iter_errors(told)] == [], path.name
        broken = {**told, "kind": "Contract"}
        assert list(judge.iter_errors(broken)), "the schema refuses nothing"


def test_they_load_as_they_are(written):
    for path in written:
        if not path.name.startswith("store"):
            assert load(path, root=path.parent).columns


def test_they_pass_the_lint_of_datacontract_cli(written):
    """Installed apart, since it brings much: `uv tool install datacontract-cli`."""
    tool = shutil.which(TOOL)
    if tool is None:
        pytest.skip("datacontract-cli is not on the path, and $DATACONTRACT does not name it")
    for path in written:
        words = [tool, "lint", "--all-errors", str(path)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{path.name}: {done.stdout}"
