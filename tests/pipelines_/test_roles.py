"""Chances, groups and files from `init` to a run: what is proposed, held, and never reused."""

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import cli

GIF = b"GIF89a" + b"\x01\x00\x01\x00\x00\x00\x00;"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("ASSAY_STORE", str(tmp_path / "store"))
    return tmp_path


def write(home, rows=300):
    """Write a table of images with a model's chances and their files; return the wrong labels."""
    rng = np.random.default_rng(4)
    true = rng.integers(0, 3, rows)
    logits = rng.normal(0, 1, (rows, 3))
    logits[np.arange(rows), true] += 6
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    wrong = np.arange(10, rows, 25)
    given = true.copy()
    given[wrong] = (given[wrong] + 1) % 3
    (home / "img").mkdir()
    for n in range(rows):
        (home / "img" / f"{n}.gif").write_bytes(GIF[:10] + n.to_bytes(3, "little") + b";")
    table = pa.table(
        {
            "image": [f"img/{n}.gif" for n in range(rows)],
            "session": [f"s{n // 3}" for n in range(rows)],
            "p": pa.array(list(chances), pa.list_(pa.float32())),
            "label": np.array(["cat", "dog", "owl"])[given],
        }
    )
    pq.write_table(table, home / "t.parquet", write_page_checksum=True)
    return wrong


def run(capsys, *words):
    code = cli.main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out.splitlines()[-1])


def test_from_init_to_a_run(home, capsys):
    wrong = write(home)
    assert cli.main(["init", "t.parquet", "-o", "c.yaml"]) == 0
    text = (home / "c.yaml").read_text()
    assert "{property: assay.role, value: probabilities}" in text
    assert "{property: assay.role, value: file}" in text
    assert "value: group" not in text
    capsys.readouterr()
    (home / "img" / "7.gif").unlink()
    (home / "img" / "8.gif").write_bytes(b"<html>")
    code, told = run(capsys, "run", "c.yaml", "--source", "t.parquet", "--direct")
    assert code == 0, told
    folder = home / "store" / "runs" / f"{told['run']:012}"
    held = pq.read_table(folder / "quarantine").to_pylist()
    rules = {row["_row"]: {reason["rule"] for reason in row["_reasons"]} for row in held}
    assert (rules[7], rules[8]) == ({"files.missing"}, {"files.type"})
    found = pq.read_table(folder / "findings").to_pylist()
    doubted = [one["row"] for one in found if one["check"] == "labels"]
    assert {*doubted} <= {*wrong.tolist()}
    assert len(doubted) >= 0.8 * len(wrong)
    assert {*rules} <= {7, 8, *doubted}
    assert {status["check"] for status in told["checks"]} >= {"files", "probabilities"}


def test_what_is_not_clear_is_not_proposed(home):
    write(home, 60)
    table = pq.read_table("t.parquet")
    (home / "img" / "0.gif").unlink()
    doubled = table.append_column("q", table["p"])
    pq.write_table(doubled, "u.parquet", write_page_checksum=True)
    assert cli.main(["init", "u.parquet", "-o", "u.yaml"]) == 0
    two = table.set_column(3, "label", pa.array(["a", "b"] * 30))
    pq.write_table(two, "v.parquet", write_page_checksum=True)
    assert cli.main(["init", "v.parquet", "-o", "v.yaml"]) == 0
    for name in ("u.yaml", "v.yaml"):
        text = (home / name).read_text()
        assert "probabilities" not in text
        assert "value: file" not in text
