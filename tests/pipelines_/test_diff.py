"""`assay diff`: rows paired one to one, exact counts, and no cell told but a key that may be."""

import collections
import datetime as dt
import decimal
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import runs

from checks.kit import findings
from pipelines.cli import main
from pipelines.diff import compare
from pipelines.store.store import Store

CELL = "SECRET-CELL"
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: night
schema:
  - name: night
    quality:
      - {{metric: rowCount, mustBeGreaterOrEqualTo: 0}}
    properties:
{properties}
"""


def contract(folder, *properties, name="c.yaml", rest=""):
    """Write a contract of properties in YAML's flow style, without their braces."""
    lines = "\n".join(f"      - {{{item}}}" for item in properties)
    path = folder / name
    path.write_text(CONTRACT.format(properties=lines) + rest)
    return path


KEYED = (
    "name: key, logicalType: string, primaryKey: true",
    "name: age, logicalType: integer",
    "name: note, logicalType: string",
)


PII = "customProperties: [{property: assay.pii, value: allow}]"


def rows_of(count):
    return [(f"k{n:04d}", str(20 + n % 50), CELL) for n in range(count)]


def night(folder, name, rows, header="key,age,note"):
    path = folder / name
    path.write_text("\n".join([header, *(",".join(row) for row in rows)]) + "\n")
    return path


def held(*rows, rule="poison.trigger", check="poison", column=None):
    """Return findings that quarantine rows."""
    return findings.make(np.array(rows, np.int64), check=check, rule=rule, column=column)


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def compared(store, a=1, b=2, limit=0):
    facts = compare.compare(store, str(a), str(b), limit)
    counts = facts["counts"]
    assert counts["a"] == counts["paired"] + counts["went"]
    assert counts["b"] == counts["paired"] + counts["came"]
    either = counts["changed"] + counts["fate_changed"] - counts["changed_with_fate"]
    assert counts["paired"] == counts["unchanged"] + either
    assert sum(fate["rows"] for fate in facts["fates"]) == counts["fate_changed"]
    if not limit:
        assert all(len(facts[kind]) == counts[kind] for kind in compare.LISTS)
    return facts


def keys(facts, kind):
    return [row["key"]["key"] for row in facts[kind]]


def test_rows_that_came_went_and_changed_are_found_exactly(tmp_path, store):
    path, first = contract(tmp_path, *KEYED), rows_of(500)
    later = first[20:] + [(f"n{n}", "30", CELL) for n in range(7)]
    later[100] = (later[100][0], "99", CELL)
    later[3] = (later[3][0], "abc", CELL)  # held, so that its key is text in a text file
    random.Random(1).shuffle(later)
    runs.committed(store, path, night(tmp_path, "a.csv", first))
    runs.committed(store, path, night(tmp_path, "b.csv", later))
    facts = compared(store)
    assert keys(facts, "went") == [row[0] for row in first[:20]]
    assert sorted(keys(facts, "came")) == [f"n{n}" for n in range(7)]
    assert set(keys(facts, "changed")) == {"k0120", "k0023"}
    assert keys(facts, "fate_changed") == ["k0023"]
    [turned] = facts["fate_changed"]
    assert (turned["row_a"], turned["fate_a"], turned["fate_b"]) == (23, "clean", "quarantine")
    assert (turned["cause"], turned["rules_a"], turned["rules_b"]) == ("data", [], ["ASSAY-V010"])
    assert facts["counts"]["came_as"] == {"clean": 7}
    for kind, run, ordered in (("went", "a", first), ("came", "b", later), ("changed", "b", later)):
        for row in facts[kind]:
            assert ordered[row[f"row_{run}"]][0] == row["key"]["key"]


def test_a_run_is_the_same_as_itself_and_as_its_twin(tmp_path, store):
    path, source = contract(tmp_path, *KEYED), night(tmp_path, "a.csv", rows_of(50))
    for _ in range(2):
        runs.committed(store, path, source, found=[held(3, 4)])
    for b in (1, 2):
        facts = compared(store, 1, b)
        assert facts["counts"]["unchanged"] == 50
        assert facts["paired_by"]["shared_rows"] == 50
        assert not any(facts[kind] for kind in compare.LISTS)


def test_files_that_both_read_are_paired_row_by_row_and_the_others_by_key(tmp_path, store):
    path, whole = contract(tmp_path, *KEYED), rows_of(60)
    old = night(tmp_path, "0.csv", whole[:30])
    first, later = (
        night(tmp_path, n, r) for n, r in (("1.csv", whole[30:]), ("2.csv", whole[31:]))
    )
    runs.committed(store, path, old, first)
    runs.committed(store, path, later, old, found=[held(28, 31)])  # the files in another order
    facts = compared(store)
    assert facts["paired_by"]["shared_rows"] == 30
    assert facts["differs"]["sources"]["shared"] == 1
    assert keys(facts, "went") == ["k0030"]
    assert [(row["row_a"], row["row_b"]) for row in facts["fate_changed"]] == [(2, 31), (59, 28)]
    assert facts["counts"]["came_as"] == {}


def pairs_by_force(first, later):
    """Count what a person would: rows as (key, content), paired by content, then by key."""
    one, two = collections.Counter(first), collections.Counter(later)
    same = (one & two).total()
    one, two = one - two, two - one
    by_key = [collections.Counter(key for key, _ in some.elements() if key) for some in (one, two)]
    changed = (by_key[0] & by_key[1]).total()
    return {"paired": same + changed, "changed": changed,
            "went": one.total() - changed, "came": two.total() - changed}  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_copies_missing_keys_and_repeats_are_counted_as_by_hand(tmp_path, store, seed):
    draw = random.Random(seed)
    properties = KEYED if seed % 2 else KEYED[1:]
    path = contract(tmp_path, *properties)

    def drawn():
        made = [(draw.choice(["", "x", "y", "z", "v", "w"]), str(draw.randrange(3)), "n")
                for _ in range(draw.randrange(1, 60))]  # fmt: skip
        return made if seed % 2 else [row[1:] for row in made]

    nights = drawn(), drawn()
    header = "key,age,note" if seed % 2 else "age,note"
    for name, rows in zip("ab", nights, strict=True):
        some = [n for n in range(len(rows)) if draw.random() < 0.3]
        runs.committed(
            store, path, night(tmp_path, f"{name}.csv", rows, header), found=[held(*some)]
        )
    counts = compared(store)["counts"]
    told = [[(row[0] if seed % 2 else None, row) for row in rows] for rows in nights]
    wanted = pairs_by_force(*told)
    assert {name: counts[name] for name in wanted} == wanted


def test_a_fate_is_another_only_where_no_copy_has_the_same(tmp_path, store):
    path, rows = contract(tmp_path, *KEYED[1:]), [("1", "n")] * 40
    runs.committed(
        store, path, night(tmp_path, "a.csv", rows, "age,note"), found=[held(*range(10))]
    )
    later = night(tmp_path, "b.csv", [*rows, ("2", "n")], "age,note")
    runs.committed(store, path, later, found=[held(*range(20, 33))])
    counts = compared(store)["counts"]
    assert (counts["fate_changed"], counts["came"], counts["unchanged"]) == (3, 1, 37)


def test_very_many_copies_of_one_key_take_no_square(tmp_path, store):
    path = contract(tmp_path, *KEYED)
    for name, count in (("a", 20_000), ("b", 20_003)):
        table = pa.table({"key": ["x"] * count, "age": np.arange(count) % 7, "note": ["n"] * count})
        pq.write_table(table, tmp_path / f"{name}.parquet")
        runs.committed(store, path, tmp_path / f"{name}.parquet")
    counts = compared(store, limit=5)["counts"]
    assert (counts["paired"], counts["came"]) == (20_000, 3)


MOMENT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
KEY_TYPES = {
    "integer": [2**60 + n for n in range(12)],
    "float": [0.1 * n for n in range(12)],
    "date": [dt.date(2026, 1, 1 + n) for n in range(12)],
    "timestamp": [MOMENT.replace(tzinfo=None, minute=n) for n in range(12)],
    "decimal": [decimal.Decimal(n) / 100 for n in range(12)],
    "bool": [False, True],
    "dictionary": pa.array([f"k{n}" for n in range(12)]).dictionary_encode(),
}
LOGICAL = {"integer": "integer", "float": "number", "date": "date", "timestamp": "timestamp",
           "decimal": "number", "bool": "boolean"}  # fmt: skip


@pytest.mark.parametrize("kind", KEY_TYPES)
def test_keys_of_any_type_pair_clean_and_quarantined_rows(tmp_path, store, kind):
    values = pa.array(KEY_TYPES[kind])
    count = len(values)
    logical = LOGICAL.get(kind, "string")
    path = contract(tmp_path, f"name: key, logicalType: {logical}, primaryKey: true", KEYED[1])
    for name, age in (("a", 1), ("b", 2)):
        table = pa.table({"key": values, "age": [age] * count}).slice(age - 1)
        pq.write_table(table, tmp_path / f"{name}.parquet")
        runs.committed(store, path, tmp_path / f"{name}.parquet", found=[held(0)])
    facts = compared(store)
    assert (facts["counts"]["went"], facts["counts"]["changed"]) == (1, count - 1)
    json.dumps(facts, allow_nan=False)


def test_a_key_of_several_columns_in_the_contracts_own_form(tmp_path, store):
    path = contract(
        tmp_path,
        "name: day, logicalType: date, primaryKey: true, logicalTypeOptions: {format: dd.MM.yyyy}",
        "name: size, logicalType: number, primaryKey: true",
        "name: age, logicalType: integer",
    )
    header = "day,size,age"
    first = [("01.02.2026", "1.50", "1"), ("02.02.2026", "1.5", "1"), ("03.02.2026", "2", "1")]
    later = [("01.02.2026", "1.5", "bad"), ("02.02.2026", "1.50", "2"), ("03.02.2026", "", "1")]
    runs.committed(store, path, night(tmp_path, "a.csv", first, header))
    runs.committed(store, path, night(tmp_path, "b.csv", later, header))
    facts = compared(store)
    assert [row["key"] for row in facts["changed"]] == [
        {"day": "2026-02-01", "size": 1.5}, {"day": "2026-02-02", "size": 1.5},
    ]  # fmt: skip
    assert (facts["counts"]["came"], facts["counts"]["went"]) == (1, 1)


def test_rows_that_could_not_be_read_are_paired_by_their_bytes(tmp_path, store):
    path, rows = contract(tmp_path, *KEYED), rows_of(30)
    runs.committed(store, path, night(tmp_path, "a.csv", [*rows, ("k", "1"), ("only", "1")]))
    runs.committed(store, path, night(tmp_path, "b.csv", [("k", "1"), *rows, ("new", "1")]))
    counts = compared(store)["counts"]
    assert counts["went_from"] == counts["came_as"] == {"rejected": 1}
    assert counts["unchanged"] == 31


def test_a_night_without_rows(tmp_path, store):
    path = contract(tmp_path, *KEYED)
    runs.committed(store, path, night(tmp_path, "a.csv", []))
    runs.committed(store, path, night(tmp_path, "b.csv", rows_of(5)))
    assert compared(store, 1, 2)["counts"]["came_as"] == {"clean": 5}
    assert compared(store, 2, 1)["counts"]["went_from"] == {"clean": 5}
    assert compared(store, 1, 1)["counts"]["paired"] == 0


def test_other_columns_are_left_out_of_the_comparison_and_named(tmp_path, store):
    first = contract(tmp_path, *KEYED)
    later = contract(
        tmp_path, KEYED[0], KEYED[1], "name: note, logicalType: integer", "name: new, "
        "logicalType: string", name="d.yaml",
    )  # fmt: skip
    rows = [(key, age, "7") for key, age, _ in rows_of(40)]
    runs.committed(store, first, night(tmp_path, "a.csv", rows))
    rows[5] = (rows[5][0], "90", "7")
    rows[6] = (rows[6][0], rows[6][1], "x")
    wide = [(*row, "n") for row in rows]
    runs.committed(store, later, night(tmp_path, "b.csv", wide, "key,age,note,new"))
    facts = compared(store)
    assert facts["paired_by"]["compared"] == ["key", "age"]
    assert facts["differs"]["columns"] == {
        "added": ["new"], "removed": [],
        "retyped": [{"column": "note", "a": "string", "b": "int64"}],
    }  # fmt: skip
    assert keys(facts, "changed") == ["k0005"]
    assert keys(facts, "fate_changed") == ["k0006"]
    # its own content may have changed where it was not compared, and the type did
    [turned] = facts["fate_changed"]
    assert (turned["cause"], turned["may_be"]) == ("unknown", ["contract", "data"])


def test_ids_with_a_secret_are_compared_with_their_like_only(tmp_path, store):
    path, rows = contract(tmp_path, *KEYED), rows_of(20)
    marked = contract(tmp_path, *KEYED[:2], f"{KEYED[2]}, {PII}", name="d.yaml")
    changed = [*rows[:4], (rows[4][0], "77", CELL), *rows[5:]]
    for made, name, some in ((path, "a", rows), (marked, "b", changed), (marked, "c", rows)):
        runs.committed(store, made, night(tmp_path, f"{name}.csv", some))
    assert main(["verify", "--store", str(store.folder)]) == 0  # such runs are whole ones
    for a, b, columns in ((1, 2, ["key", "age", "note"]), (2, 3, None)):
        facts = compared(store, a, b)
        assert facts["paired_by"]["compared"] == columns
        assert (keys(facts, "changed"), facts["counts"]["unchanged"]) == (["k0004"], 19)
    assert compared(store, 1, 3)["counts"]["unchanged"] == 20


def test_another_primary_key_is_no_key(tmp_path, store):
    later = contract(
        tmp_path, KEYED[0].replace(", primaryKey: true", ""), *KEYED[1:], name="d.yaml"
    )
    rows = rows_of(20)
    runs.committed(store, contract(tmp_path, *KEYED), night(tmp_path, "a.csv", rows))
    rows[4] = (rows[4][0], "77", CELL)
    runs.committed(store, later, night(tmp_path, "b.csv", rows))
    facts = compared(store)
    counts = facts["counts"]
    assert facts["paired_by"]["key"] is None
    assert (counts["came"], counts["went"], counts["changed"]) == (1, 1, 0)
    assert facts["came"][0]["key"] is None


@pytest.mark.parametrize("how", ["marked", "found", "not searched"])
def test_a_key_that_may_be_personal_is_not_told(tmp_path, store, capsys, how):
    first = KEYED[0] + (f", {PII}" if how == "marked" else "")
    path, rows = contract(tmp_path, first, *KEYED[1:]), rows_of(20)
    found = [held(3, check="pii", rule="pii.EMAIL_ADDRESS", column="key")] if how == "found" else []
    facts = {"checks": dict.fromkeys(runs.CHECKS, "ok") | {"pii": "skipped"}}
    runs.committed(store, path, night(tmp_path, "a.csv", rows), found=found)
    later = night(tmp_path, "b.csv", [*rows[1:], ("new", "1", CELL)])
    runs.committed(store, path, later, **(facts if how == "not searched" else {}))
    assert {row["key"] for kind in compare.LISTS for row in compared(store)[kind]} == {None}
    for words in (["--json"], []):
        assert main(["diff", "1", "2", "--store", str(store.folder), *words]) == 0
        printed = capsys.readouterr().out
        assert "k00" not in printed
        assert "new" not in printed


def test_a_key_that_clean_files_hold_replaced_pairs_nothing(tmp_path, store):
    marked = KEYED[0] + ", customProperties: [{property: assay.pii, value: pseudonymise}]"
    path, rows = contract(tmp_path, marked, *KEYED[1:]), rows_of(20)
    runs.committed(store, path, night(tmp_path, "a.csv", rows))
    runs.committed(store, path, night(tmp_path, "b.csv", rows[::-1]))
    facts = compared(store)
    assert (facts["paired_by"]["key"], facts["counts"]["unchanged"]) == (None, 20)


def test_the_text_is_short_and_tells_no_cell(tmp_path, store, capsys):
    path, rows = contract(tmp_path, *KEYED), rows_of(300)
    runs.committed(store, path, night(tmp_path, "a.csv", rows))
    later = [(key, "1", CELL) for key, _, _ in rows[:40]] + rows[40:250]
    runs.committed(store, path, night(tmp_path, "b.csv", later), found=[held(*range(40, 60))])
    words = ["diff", "1", "2", "--store", str(store.folder)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "40 changed, 20 with a different fate" in printed
    assert "50 clean" in printed
    assert "row 250  k0250  clean" in printed.replace("key ", "")
    assert len(printed.splitlines()) < 60
    assert main([*words, "--json"]) == 0
    told = capsys.readouterr().out
    assert CELL not in printed + told
    assert (len(json.loads(told)["changed"]), json.loads(told)["schema"]) == (40, "assay.diff/1")
    assert main([*words, "--json", "--limit", "3"]) == 0
    few = json.loads(capsys.readouterr().out)
    assert [len(few[kind]) for kind in compare.LISTS] == [3, 0, 3, 3]


def test_a_key_that_acts_on_a_terminal_is_escaped(tmp_path, store, capsys):
    path = contract(tmp_path, *KEYED)
    runs.committed(store, path, night(tmp_path, "a.csv", rows_of(5)))
    runs.committed(store, path, night(tmp_path, "b.csv", [*rows_of(5), ("\x1b[2Jx", "1", "n")]))
    assert main(["diff", "1", "2", "--store", str(store.folder)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_what_cannot_be_compared_is_refused_by_its_code(tmp_path, store, capsys):
    path, source = contract(tmp_path, *KEYED), night(tmp_path, "a.csv", rows_of(20))
    for _ in range(2):
        runs.committed(store, path, source)
    base = ["diff", "--store", str(store.folder), "--json"]

    def refused(*words):
        code = main([*base, *words])
        return code, json.loads(capsys.readouterr().out)["error"]["code"]

    assert refused("1", "9") == (2, "ASSAY-C013")
    assert refused("1", "2", "--limit", "-1") == (2, "ASSAY-C012")
    assert refused("1", "2", "--limit", "9" * 19) == (2, "ASSAY-C012")
    assert refused("1", "9" * 5000) == (2, "ASSAY-C013")
    nowhere = ["diff", "1", "2", "--json", "--store", str(tmp_path / "none")]
    assert main(nowhere) == 2
    capsys.readouterr()
    runs.committed(store, path, source, night(tmp_path, "b.csv", rows_of(20)))
    assert refused("1", "3") == (2, "ASSAY-C014")
    part = store.run_folder(2) / "clean" / "part-00000.parquet"
    content = part.read_bytes()
    part.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
    assert refused("1", "2") == (4, "ASSAY-L011")
    part.write_bytes(content)
    assert main([*base, "1", "2"]) == 0
    capsys.readouterr()
    entry = store.ledger.path_of(1)
    entry.write_bytes(entry.read_bytes()[:-9])
    assert refused("2", "2")[0] == 4
