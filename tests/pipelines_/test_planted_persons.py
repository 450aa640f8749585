"""No personal string of a source stands in anything that a run writes beside what it holds back."""

import json
from pathlib import Path

import planted_persons
import pyarrow as pa
import pyarrow.parquet as pq
import pytest


@pytest.fixture
def run(warm, tmp_path):
    """Run a contract; returns (exit code, stdout, stderr)."""
    env = {"TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}

    def made(contract, *words):
        words = ["run", contract, "--store", tmp_path / "store", "--direct", *words]
        done = warm.assay(*words, cwd=tmp_path, env=env)
        return done.returncode, done.stdout, done.stderr

    return made


def told(*texts):
    return [
        raw for raw in planted_persons.RAW for text in texts if raw.casefold() in text.casefold()
    ]


@pytest.mark.parametrize(
    "kind",
    [
        "csv",
        pytest.param("jsonl", marks=pytest.mark.long),
        pytest.param("parquet", marks=pytest.mark.long),
    ],
)
def test_no_personal_string_is_written(run, tmp_path, kind):
    contract = planted_persons.contract(tmp_path, planted_persons.write(tmp_path, kind))
    code, out, errors = run(contract, "--json", "--debug")
    assert code == 1, errors  # more than a tenth is held back
    assert not told(out, errors)
    assert not planted_persons.leaks(tmp_path / "store")
    # the search is not blind: all of it is in the quarantine and in what was rejected
    held = planted_persons.leaks(tmp_path / "store", held=())
    seen = {line.partition(": ")[2] for line in held}
    broken = {"zqbroken", "zqnumber"} if kind == "parquet" else set()
    assert seen == set(planted_persons.RAW) - broken - {"536221847"}


@pytest.mark.long
def test_no_personal_string_is_written_beside_a_reference(run, tmp_path):
    code, out, errors = run(planted_persons.with_reference(tmp_path), "--json", "--debug")
    assert code == 1, errors
    assert "drift" in {c["check"] for c in json.loads(out)["checks"] if c["status"] == "ok"}
    assert not told(out, errors)
    assert not planted_persons.leaks(tmp_path / "store")


@pytest.mark.long
def test_no_personal_string_is_written_when_columns_are_redacted(run, tmp_path):
    contract = planted_persons.contract(
        tmp_path, planted_persons.write(tmp_path, "csv"), action="redact"
    )
    code, out, errors = run(contract, "--debug")
    assert code in {0, 1}, errors
    assert not told(out, errors)
    assert not planted_persons.leaks(tmp_path / "store")


def test_no_personal_string_is_in_an_inferred_contract(warm, tmp_path):
    planted_persons.write(tmp_path, "csv")
    words = ["init", "members.csv", "--label", "churned", "-o", "c.yaml"]
    done = warm.assay(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    contract = (tmp_path / "c.yaml").read_text()
    assert not told(contract, done.stdout, done.stderr)
    assert contract.count("its values are not listed: some are personal data") == 2
    assert "churned" in contract


@pytest.mark.parametrize("fault", ["type", "missing", "header"])
def test_no_personal_string_is_in_an_error(run, tmp_path, fault):
    source = planted_persons.write(tmp_path, "csv")
    contract = planted_persons.contract(tmp_path, source)
    whole = json.loads(contract.read_text())
    properties = whole["schema"][0]["properties"]
    if fault == "type":
        properties[0]["logicalType"] = "integer"  # keys are addresses
    elif fault == "missing":
        properties[3]["name"] = "remark"
    else:
        lines = source.read_text().splitlines(keepends=True)
        source.write_text("".join(lines[1:]))  # a row of persons where the header should be
    contract.write_text(json.dumps(whole))
    code, out, errors = run(contract, "--json", "--debug")
    assert code in {1, 2, 3}, out
    assert not told(out, errors), errors
    assert not planted_persons.leaks(tmp_path / "store")


def test_every_row_that_could_not_be_scanned_is_in_quarantine(run, tmp_path):
    long = "word " * 300
    notes = ["short and fine", long, f"{long} joe@example.com", "fine too", None] * 20
    rows = pa.table({"note": notes, "n": range(len(notes))})
    pq.write_table(rows, tmp_path / "members.parquet")
    contract = tmp_path / "contract.yaml"
    contract.write_text(
        json.dumps(
            {
                "apiVersion": "v3.1.0",
                "kind": "DataContract",
                "id": "m",
                "name": "m",
                "version": "1.0.0",
                "status": "active",
                "servers": [
                    {"server": "s", "type": "local", "path": "members.parquet", "format": "parquet"}
                ],
                "customProperties": [
                    {"property": "assay.checks", "value": {"pii": {"max_chars": 1000}}}
                ],
                "schema": [
                    {
                        "name": "m",
                        "logicalType": "object",
                        "properties": [
                            {"name": "note", "logicalType": "string"},
                            {"name": "n", "logicalType": "integer"},
                        ],
                    }
                ],
            }
        )
    )
    code, out, errors = run(contract, "--json")
    assert code == 1, errors
    held = pq.read_table(Path(json.loads(out)["path"]) / "quarantine").to_pylist()
    why = {row["_row"]: {reason["rule"] for reason in row["_reasons"]} for row in held}
    unread = [at for at, note in enumerate(notes) if note and len(note) > 1000]
    assert sorted(at for at, rules in why.items() if "pii.unscanned" in rules) == unread
