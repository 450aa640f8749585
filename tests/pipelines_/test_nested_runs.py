"""Nested data from `init` to a release: one row stays one row, its type and values stay exact."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli
from provenance import standalone_verify


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "store"))
    return tmp_path


def chats(count=40):
    for n in range(count):
        said = f"answer number {n} of a longer kind"
        said += " to a.b@example.org" if n == 7 else ""
        yield {
            "id": f"c{n}",
            "messages": [{"role": "user", "content": f"question {n}"},
                         {"role": "assistant", "content": said}],
            "scores": [n + 0.5, n / 7],
            "meta": {"day": "2024-01-02", "tags": []},
        }  # fmt: skip


def run_json(capsys, *words):
    code = cli.main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_chats_from_init_to_release(home, capsys):
    rows = list(chats())
    (home / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert cli.main(["init", "a.jsonl", "-o", "a.yaml"]) == 0
    text = (home / "a.yaml").read_text()
    assert "logicalType: array\n        items:\n          logicalType: object" in text
    capsys.readouterr()
    code, told = run_json(capsys, "run", "a.yaml", "--source", "a.jsonl", "--direct")
    assert (code, told["verdict"]) == (0, "pass")
    assert told["rows"] == {"source": 40, "clean": 39, "quarantine": 1, "rejected": 0}
    folder = home / "store" / "runs" / f"{told['run']:012}"
    clean = pq.read_table(folder / "clean").to_pylist()
    assert clean == [row for n, row in enumerate(rows) if n != 7]
    [held] = pq.read_table(folder / "quarantine").to_pylist()
    assert json.loads(held["messages"]) == rows[7]["messages"]
    assert held["_reasons"][0]["column"] == "messages[].content"
    (home / "d.csv").write_text("row,decision\n7,redact\n")
    assert cli.main(["review", str(told["run"]), "--apply", "d.csv"]) == 0
    assert cli.main(["release", str(told["run"])]) == 0
    assert cli.main(["diff", str(told["run"]), "latest"]) in (0, 1)
    released = pq.read_table(max((home / "store" / "runs").iterdir()) / "clean").to_pylist()
    [row] = [row for row in released if row["id"] == "c7"]
    assert row["messages"][1]["content"].endswith("to <EMAIL_ADDRESS>")
    assert cli.main(["verify"]) == 0


def test_faults_of_nested_texts_hold_their_rows(home, capsys):
    rows = list(chats())
    asked = "Where did the old captain hide the second map before the storm came?"
    planted = {
        3: ("messages[].content", "ASSAY-V006", "hid\u200bden"),
        5: ("messages[].content", "texts.mojibake", "caf\u00c3\u00a9"),
        9: ("messages[].content", "texts.mixed", "a p\u0430ge"),
        11: ("messages[].content", "contamination.shared", f"Hello, {asked.lower()}"),
        13: ("meta.tags[]", "texts.broken", "a \ufffd"),
    }
    for row in rows:
        row["meta"]["tags"] = ["one"]
    rows[7]["messages"][1]["content"] = "nothing personal is in this answer."
    for n, (path, _, text) in planted.items():
        if path == "meta.tags[]":
            rows[n]["meta"]["tags"].append(text)
        else:
            rows[n]["messages"][0]["content"] = text
    held_out = {**rows[0], "id": "t0", "messages": [{"role": "user", "content": asked}]}
    for name, lines in (("a", rows), ("test", [held_out])):
        (home / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    assert cli.main(["init", "a.jsonl", "-o", "a.yaml"]) == 0
    option = "{property: assay.checks, value: {duplicates: {test: test.jsonl}}}"
    contract = (home / "a.yaml").read_text()
    assert "\ncustomProperties" not in contract
    (home / "a.yaml").write_text(f"{contract}customProperties:\n  - {option}\n")
    capsys.readouterr()
    _, told = run_json(capsys, "run", "a.yaml", "--source", "a.jsonl", "--direct")
    folder = home / "store" / "runs" / f"{told['run']:012}"
    held = pq.read_table(folder / "quarantine").to_pylist()
    why = {row["_row"]: {(r["column"], r["rule"]) for r in row["_reasons"]} for row in held}
    assert why == {n: {(path, rule)} for n, (path, rule, _) in planted.items()}
    names = {status["check"] for status in told["checks"] if status["status"] == "ok"}
    assert {"answers", "chat_copies", "contamination", "messages", "texts"} <= names


def test_parquet_keeps_its_types_and_both_verifiers_agree(home, capsys):
    kinds = {
        "v": pa.list_(pa.float32(), 2),
        "w": pa.large_list(pa.int16()),
        "k": pa.map_(pa.string(), pa.int64()),
        "s": pa.struct([("bytes", pa.binary()), ("path", pa.string())]),
        "f": pa.binary(3),
    }
    cells = {
        "v": [[0.5, n] for n in range(30)],
        "w": [[n] * (n % 3) for n in range(30)],
        "k": [[("a", n)] for n in range(30)],
        "s": [{"bytes": bytes([n]), "path": None} for n in range(30)],
        "f": [bytes([n] * 3) for n in range(30)],
    }
    cells["v"][3] = None
    cells["v"][4] = [float("nan"), 1.0]
    table = pa.table({name: pa.array(cells[name], kind) for name, kind in kinds.items()})
    pq.write_table(table, "a.parquet", write_page_checksum=True)
    assert cli.main(["init", "a.parquet", "-o", "a.yaml"]) == 0
    capsys.readouterr()
    code, told = run_json(capsys, "run", "a.yaml", "--source", "a.parquet", "--direct")
    assert (code, told["rows"]["clean"], told["rows"]["quarantine"]) == (0, 29, 1)
    folder = home / "store" / "runs" / f"{told['run']:012}"
    clean = pq.read_table(folder / "clean")
    assert clean.schema.types == table.schema.types
    kept = table.filter(pa.array([n != 4 for n in range(30)]))
    assert clean.equals(kept.cast(clean.schema))
    lineage = pq.read_table(folder / "lineage").sort_by("source_row").to_pylist()
    for n in (0, 3, 29):
        assert lineage[n]["row_id"] == standalone_verify.row_digest(table.slice(n, 1))
