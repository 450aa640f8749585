"""One night's review and the next: fewer false alarms among rows that nobody decided about.

A small relative of `benchmarks/feedback.py`: the real check of outliers, on rows of which a few are
odd and right, such as sales at a discount, and others have a slip of the pen.
"""

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest
import runs
import tables

import assay
from checks.contract import loader
from checks.kit import registry
from pipelines.cli import main
from pipelines.learning.corrections import Corrections
from pipelines.review import recording
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.run import learnt
from pipelines.run.learnt import Reviews
from pipelines.store.store import Store

CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: sales
schema:
  - name: sales
    properties:
      - {name: key, logicalType: string, primaryKey: true}
      - {name: pieces, logicalType: number}
      - {name: price, logicalType: number}
"""
NIGHT, ODD, WRONG, DECISIONS = 3_000, 27, 20, 40


def sales(seed):
    """Return two nights of sales, and which rows hold a slip of the pen."""
    draw = np.random.default_rng(seed)
    rows = 2 * NIGHT
    pieces = draw.normal(50, 10, rows)
    price = 2 * pieces + draw.normal(0, 1, rows)
    kinds = np.zeros(rows, int)
    for start in (0, NIGHT):
        odd, wrong = np.split(start + draw.permutation(NIGHT)[: ODD + WRONG], [ODD])
        kinds[odd], kinds[wrong] = 1, 2
    price += np.where(kinds == 1, draw.uniform(-9, -6, rows), 0)
    price += np.where(kinds == 2, draw.uniform(25, 60, rows), 0)
    keys = [f"k{seed}-{row}" for row in range(rows)]
    table = pa.table({"key": keys, "pieces": pieces.round(2), "price": price.round(2)})
    return table, kinds == 2


def found_in(table):
    """Return what the check of outliers finds."""
    context = tables.context_for(table, key="key")
    check = registry.load()["outliers"](context)
    [shard] = tables.cut(table)
    return check.score(shard, check.finish(check.fit(shard)))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_next_night_holds_fewer_rows_falsely_and_as_many_wrong_ones(tmp_path, seed):
    table, is_wrong = sales(seed)
    path, source = tmp_path / "c.yaml", tmp_path / "first.csv"
    path.write_text(CONTRACT)
    pyarrow.csv.write_csv(table.slice(0, NIGHT), source)
    store, contract = Store(tmp_path / "store"), loader.load(path)
    first = found_in(table.slice(0, NIGHT))
    run = ReviewedRun.of(store, runs.committed(store, path, source, found=[first]))
    held = np.unique(first["row"].to_numpy()[np.asarray(first["severity"]) == "error"])
    chosen = np.random.default_rng(seed).permutation(held)[:DECISIONS].tolist()
    asks = [Ask(Selection(row=str(row)), "reject" if is_wrong[row] else "release")
            for row in chosen]  # fmt: skip
    recording.record(run, asks, "anna")
    second = found_in(table)
    valid = Reviews.of(store, contract).valid
    made = learnt.from_reviews(store, valid, contract, second, Corrections())
    before, after = (
        {row for row, severity in zip(found["row"].to_pylist(), found["severity"].to_pylist(),
                                      strict=True) if severity == "error"} - set(chosen)
        for found in (second, made.found)
    )  # fmt: skip
    false = [sum(not is_wrong[row] for row in rows) for rows in (before, after)]
    true = [sum(bool(is_wrong[row]) for row in rows) for rows in (before, after)]
    assert false[0] >= 10
    assert false[1] <= 0.7 * false[0]
    assert true[0] >= 20
    assert true[1] >= 0.95 * true[0]


OTHERS = "disclosure drift duplicates labels leakage pii poison shape sources texts values"


def test_a_run_records_says_and_shows_what_it_learnt(tmp_path):
    table, is_wrong = sales(1)
    path, store = tmp_path / "c.yaml", tmp_path / "store"
    off = ", ".join(f"{name}: off" for name in OTHERS.split())
    settings = (
        "customProperties:\n"
        f"  - {{property: assay.checks, value: {{{off}}}}}\n"
        "  - {property: assay.expectations, value: {docs: false}}\n"
    )
    path.write_text(CONTRACT + settings)
    first = assay.run(table.slice(0, NIGHT), path, store=store)
    assert "lessons" not in first.as_dict()
    assert not {"learnt", "lessons"} & first.entry.facts.keys()
    run = ReviewedRun.of(Store(store), first.entry)
    held = first.quarantine()["_row"].to_pylist()
    asks = [Ask(Selection(row=str(row)), "reject" if is_wrong[row] else "release") for row in held]
    recording.record(run, asks, "anna")
    second = assay.run(table, path, store=store)
    [notice] = [each for each in second.warnings if each.code == "ASSAY-K027"]
    assert "because reviewers released" in notice.message
    [cut] = [each for each in second.entry.facts["learnt"]["cuts"] if each["rows"]]
    assert cut["released"] >= 20
    [lesson] = second.as_dict()["lessons"]
    assert lesson["reviewed"] == len(held)
    assert "What reviewers decided" in (second.folder / "report.html").read_text()
    milder = [item for item in second.findings().to_pylist() if item["rule"] == "outliers.joint"
              and item["severity"] == "warning"]  # fmt: skip
    assert len(milder) == cut["rows"]
    assert "reviewers released" in milder[0]["suggestion"]
    path.write_text(CONTRACT + settings + "  - {property: assay.policy, value: {learn: false}}\n")
    third = assay.run(table, path, store=store)
    assert "learnt" not in third.entry.facts
    assert third.rows.quarantine > second.rows.quarantine
    assert main(["verify", "--store", str(store)]) == 0
