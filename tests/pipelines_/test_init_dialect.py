"""`assay init` on a CSV of another form: the contract says so, and passes on its own source."""

import csv
import io
import json

import pytest

from checks.contract import loader
from pipelines import cli
from provenance.readers import ingest
from provenance.rows.shards import read_shard

ROWS = [["id", "city", "note"], *([str(n), "Troms\xf8", f"a; b, {n}\nc"] for n in range(60))]


def written(path, delimiter, encoding, mark=""):
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter, lineterminator="\r\n").writerows(ROWS)
    path.write_bytes((mark + text.getvalue()).encode(encoding))


@pytest.mark.parametrize(
    ("written_as", "name", "told"),
    [
        ((";", "utf-8"), "a.csv", ["delimiter"]),
        (("\t", "utf-8"), "a.csv", ["delimiter"]),
        (("|", "cp1252"), "a.csv", ["delimiter", "encoding"]),
        ((",", "utf-16"), "a.csv", ["encoding"]),
        (("\t", "utf-16-be"), "a.tsv", ["encoding"]),
        ((",", "utf-8"), "a.tsv", ["delimiter"]),
        ((",", "utf-8"), "a.csv", []),
    ],
)
def test_what_was_seen_is_written_and_read_by(
    tmp_path, monkeypatch, capsys, written_as, name, told
):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / name, *written_as)
    assert cli.main(["init", name, "-o", "c.yaml", "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert any("assay.csv" in note for note in notes) is bool(told)
    text = (tmp_path / "c.yaml").read_text()
    assert [key for key in ("delimiter", "quote", "encoding") if f"{key}:" in text] == told
    contract = loader.load(tmp_path / "c.yaml")
    specs = tuple(column.spec for column in contract.columns)
    snapshot = ingest.ingest(
        [name], specs, tmp_path / "out", limits=ingest.Limits(), dialect=contract.csv
    )
    assert (snapshot.held, snapshot.rejected, snapshot.warnings) == (None, None, ())
    rows = [row for ref in snapshot.shards for row in read_shard(ref).table.to_pylist()]
    assert [[str(cell) for cell in row.values()] for row in rows] == ROWS[1:]


ODD = ["plain", "a; b", 'say "x; y', 'he said "hi"; ok; ok', "; ; ;"]


def test_a_delimiter_that_is_not_found_can_be_named(tmp_path, monkeypatch, capsys):
    """Notes full of delimiters and quotes: the refusal names a way, and that way works."""
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"{n};Oslo;{ODD[n % len(ODD)]}\n" for n in range(200))
    (tmp_path / "a.csv").write_text("id;city;note\n" + rows)
    assert cli.main(["init", "a.csv", "-o", "c.yaml", "--json"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "ASSAY-I038"
    assert '--delimiter ";"' in error["fix"]
    assert cli.main(["init", "a.csv", "-o", "c.yaml", "--delimiter", ";", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["columns"] == 3
    assert any("cannot be split into cells" in note for note in told["notes"])
    assert loader.load(tmp_path / "c.yaml").csv.delimiter == ";"


@pytest.mark.parametrize("given", ["a", "", ";;", '"'])
def test_a_delimiter_that_is_none_is_refused(tmp_path, monkeypatch, capsys, given):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.csv", ",", "utf-8")
    assert cli.main(["init", "a.csv", "-o", "c.yaml", f"--delimiter={given}"]) == 2
    assert "ASSAY-C012" in capsys.readouterr().err


def test_a_run_refuses_what_the_contract_does_not_say(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    written(tmp_path / "a.csv", ",", "utf-8")
    assert cli.main(["init", "a.csv", "-o", "c.yaml"]) == 0
    for delimiter, encoding, code in ((";", "utf-8", "I038"), (",", "utf-16", "I021")):
        written(tmp_path / "b.csv", delimiter, encoding)
        words = ["run", "c.yaml", "--source", "b.csv", "--direct", "--store", "s", "--json"]
        capsys.readouterr()
        assert cli.main(words) == 3
        error = json.loads(capsys.readouterr().out)["error"]
        assert error["code"] == f"ASSAY-{code}"
        assert "assay.csv" in error["fix"]
