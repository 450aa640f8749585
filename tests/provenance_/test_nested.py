"""Nested cells: exact through the snapshot, one type at each path, bounded, faults by path."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.readers.ingest import ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.nested import column_of, leaves, nodes, replaced
from provenance.rows.nested_cast import cast_nested
from provenance.rows.shards import as_read, read_shard, read_table
from provenance.rows.snapshot import Snapshot

MESSAGES = ColumnSpec(
    "m",
    "array",
    items=ColumnSpec(
        "items", "object", properties=(ColumnSpec("role"), ColumnSpec("n", "integer"))
    ),
)
VECTOR = ColumnSpec("e", "array", items=ColumnSpec("items", "number"))
SPECS = (ColumnSpec("i", "integer"), MESSAGES, VECTOR)


def lines(*rows):
    return "\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows) + "\n"


def run(tmp_path, text, specs=SPECS, **limits):
    path = tmp_path / "a.jsonl"
    path.write_text(text, encoding="utf-8")
    return ingest([str(path)], specs, tmp_path / "out", limits=Limits(**limits))


def refused(tmp_path, text, specs=SPECS, **limits):
    with pytest.raises(AssayError) as caught:
        run(tmp_path, text, specs, **limits)
    return caught.value


def typed(snapshot):
    return pa.concat_tables([read_shard(ref).table for ref in snapshot.shards])


GOOD = {"i": 1, "m": [{"role": "user", "n": 7}, {"role": None}], "e": [0.5, 2]}


def test_lists_and_objects_of_json_become_the_types_of_the_contract(tmp_path):
    snapshot = run(tmp_path, lines(GOOD, {"i": 2, "m": [], "e": None}, {"i": 3}))
    table = typed(snapshot)
    assert table.schema.field("m").type == MESSAGES.arrow
    assert table["m"].to_pylist() == [
        [{"role": "user", "n": 7}, {"role": None, "n": None}],
        [],
        None,
    ]
    assert table["e"].to_pylist() == [[0.5, 2.0], None, None]


def test_what_is_read_keeps_its_digits(tmp_path):
    snapshot = run(tmp_path, '{"i": 1, "m": [{"n": 9007199254740993}], "e": [1.10, 2e1]}\n')
    read = as_read(typed(snapshot), snapshot.raw[0])
    assert read["e"].to_pylist() == ["[1.10, 2e1]"]
    assert typed(snapshot)["m"].to_pylist() == [[{"role": None, "n": 2**53 + 1}]]


@pytest.mark.parametrize(
    ("line", "code", "path"),
    [
        ('{"e": [1, NaN]}', "V001", "e[]"),
        ('{"e": [-Infinity]}', "V002", "e[]"),
        ('{"e": [1e999]}', "V002", "e[]"),
        ('{"m": [{"n": 1.5}]}', "I035", "m[].n"),
        ('{"m": [{"n": 9223372036854775808}]}', "I034", "m[].n"),
        (f'{{"m": [{{"n": {"9" * 5000}}}]}}', "I034", "m[].n"),
        ('{"m": [{"role": "a\\u0000"}]}', "I023", "m[].role"),
        (json.dumps({"m": [{"role": "x" * 101}]}), "I030", "m[].role"),
    ],
)
def test_a_bad_value_holds_its_row_and_names_its_path(tmp_path, line, code, path):
    snapshot = run(tmp_path, lines(GOOD, line, GOOD), max_field_bytes=100)
    found = read_table(snapshot.held_findings).to_pylist()
    assert [(f["row"], f["code"], f["column"]) for f in found] == [(1, code, path)]
    assert typed(snapshot).num_rows == 2


@pytest.mark.parametrize(
    "line",
    [
        '{"m": [{"role": "a", "role": "b"}]}',
        '{"m": [{"other": "b"}]}',
        '{"m": [{"role": "\\ud800"}]}',
    ],
)
def test_an_object_that_is_not_of_the_dataset_is_rejected(tmp_path, line):
    snapshot = run(tmp_path, lines(GOOD, line))
    [found] = read_table(snapshot.rejected).to_pylist()
    assert (found["_row"], found["_raw"]) == (1, line.encode())


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ('{"m": [{"role": 1}]}', "m[].role"),
        ('{"m": [{"n": "1"}]}', "m[].n"),
        ('{"m": {"role": "a"}}', "m"),
        ('{"m": "text"}', "m"),
        ('{"e": [[1]]}', "e[]"),
        ('{"e": [true]}', "e[]"),
        ('{"i": [1]}', "i"),
    ],
)
@pytest.mark.parametrize("specs", [SPECS, None], ids=["contract", "none"])
def test_two_types_at_one_path_are_refused_with_path_and_line(tmp_path, line, path, specs):
    error = refused(tmp_path, lines(GOOD, "", GOOD, line), specs)
    assert error.code == "ASSAY-I008"
    assert "line 4" in error.what
    assert f"'{path}'" in error.what


def deep(levels):
    return {"i": 1, "d": json.loads("[" * levels + "]" * levels)}


@pytest.mark.parametrize("specs", [(ColumnSpec("i", "integer"), ColumnSpec("d")), None])
def test_depth_bombs_are_refused(tmp_path, specs):
    assert refused(tmp_path, lines(deep(120)), specs).code == "ASSAY-I008"


def test_as_deep_as_the_limit_is_read(tmp_path):
    assert run(tmp_path, lines(deep(32)), None).nested[0].name == "d"
    assert refused(tmp_path, lines(deep(33)), None).code == "ASSAY-I008"


def test_a_cell_of_too_many_values_is_refused(tmp_path):
    error = refused(tmp_path, lines({"e": [1] * 101}), max_items=100)
    assert (error.code, "max_items" in error.fix) == ("ASSAY-I006", True)
    assert run(tmp_path, lines({"i": 1, "m": [], "e": [1] * 100}), max_items=100).rows == 1
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"e": [[1.0], [1.0] * 101]}), path)
    with pytest.raises(AssayError, match="I006"):
        ingest([str(path)], None, tmp_path / "parquet", limits=Limits(max_items=100))


def test_long_lists_are_refused_before_they_are_decoded(tmp_path, monkeypatch):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"e": [[1.0] * 1_000], "n": [1]}), path)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", None)
    with pytest.raises(AssayError, match="I006"):
        ingest([str(path)], None, tmp_path / "out", limits=Limits(max_items=100))


def test_a_type_of_many_levels_is_refused(tmp_path):
    kind = pa.int64()
    for _ in range(120):
        kind = pa.list_(kind)
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"d": pa.array([None], kind)}), path)
    with pytest.raises(AssayError, match="I008"):
        ingest([str(path)], None, tmp_path / "out", limits=Limits())


def test_texts_in_lists_that_a_dictionary_inflates_are_refused(tmp_path):
    texts = ["x" * 500_000, *map(str, range(9))]
    codes = pa.array([0] * 4_000, pa.int32())
    cells = pa.ListArray.from_arrays(
        pa.array([0, 2_000, 4_000], pa.int32()), pa.DictionaryArray.from_arrays(codes, texts)
    )
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"t": cells}), path)
    with pytest.raises(AssayError, match="I006"):
        ingest([str(path)], None, tmp_path / "out", limits=Limits())


def test_one_long_text_among_many_in_lists_is_read(tmp_path):
    """The bound of its dictionary is too coarse, so the texts of all row groups are counted."""
    cells = [["x" * 900_000], *([["a", "b"]] * 200)] * 2
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"t": cells}), path, row_group_size=201)
    snapshot = ingest([str(path)], None, tmp_path / "out", limits=Limits())
    assert typed(snapshot)["t"].to_pylist() == cells


def test_bytes_that_are_not_text_reject_their_row(tmp_path):
    cells = pa.array([[b"ok"], [b"fine", b"caf\xe9"]], pa.list_(pa.binary()))
    path = tmp_path / "a.parquet"
    raw = pa.array([0, 1, 3], pa.int32())
    values = pa.Array.from_buffers(pa.string(), 3, cells.flatten().buffers())
    pq.write_table(pa.table({"t": pa.ListArray.from_arrays(raw, values)}), path)
    snapshot = ingest([str(path)], None, tmp_path / "out", limits=Limits())
    [found] = read_table(snapshot.rejected).to_pylist()
    assert (found["_row"], found["_raw"], found["_reason"][:10]) == (1, b"caf\xe9", "ASSAY-I022")


def test_without_a_contract_the_types_are_found_and_kept(tmp_path):
    rows = [GOOD, {"i": 2, "m": [{"role": "a", "n": None, "more": {"x": [True]}}], "e": [1.5]}]
    snapshot = run(tmp_path, lines(*rows), None)
    specs = {spec.name: spec for spec in snapshot.nested}
    parts = {part.name: part.logical for part in specs["m"].items.properties}
    assert parts == {"role": "string", "n": "integer", "more": "object"}
    assert specs["e"].items.logical == "number"
    assert Snapshot.load(tmp_path / "out" / "snapshot.json").nested == snapshot.nested


def test_dates_in_lists_are_cast_and_bad_ones_held():
    spec = ColumnSpec("d", "array", items=ColumnSpec("items", "date"))
    made = cast_nested(pa.array(['["2025-03-04", null]', None, '["2025-02-30"]', "[]"]), spec)
    assert made.typed.type == pa.list_(pa.date32())
    assert made.codes.to_pylist() == [None, None, "I036", None]
    assert made.paths[2].as_py() == "d[]"
    assert made.typed.to_pylist()[2:] == [None, []]


def test_an_object_without_properties_is_a_map_of_texts(tmp_path):
    specs = (ColumnSpec("i", "integer"), ColumnSpec("o", "object"))
    table = typed(run(tmp_path, lines({"i": 1, "o": {}}, {"i": 2, "o": {"a": "b"}}), specs))
    assert table["o"].to_pylist() == [[], [("a", "b")]]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(VALUES, min_size=1, max_size=4))
def test_any_json_is_read_or_refused_with_a_code_and_no_row_is_lost(tmp_path_factory, rows):
    folder = tmp_path_factory.mktemp("json")
    text = lines(*({"i": n, "v": value} for n, value in enumerate(rows)))
    try:
        found = run(folder, text, None)
    except AssayError as error:
        assert error.code[:7] in ("ASSAY-I", "ASSAY-V")  # noqa: PT017
        return
    rejected = read_table(found.rejected).num_rows if found.rejected else 0
    assert typed(found).num_rows + rejected == len(rows)
    for spec in found.nested:
        column = typed(found)[spec.name]
        made = cast_nested(column.combine_chunks(), spec)
        assert made.codes.null_count == len(column)


NESTED = pa.array(
    [[{"t": "a", "x": [1, None]}], None, [], [None, {"t": None, "x": None}]],
    pa.list_(pa.struct([("t", pa.string()), ("x", pa.list_(pa.int64()))])),
)


def test_paths_and_owners():
    found = {node.path: node.owners.tolist() for node in nodes(NESTED, "m")}
    assert found == {
        "m": [0, 1, 2, 3],
        "m[]": [0, 3, 3],
        "m[].t": [0, 3],
        "m[].x": [0, 3],
        "m[].x[]": [0, 0],
    }
    assert [leaf.path for leaf in leaves(NESTED.slice(1), "m")] == ["m[].t", "m[].x[]"]


@pytest.mark.parametrize("start", [0, 1, 3])
def test_replacing_leaves_keeps_everything_else(start):
    cells = NESTED.slice(start)
    assert replaced(cells, "m", lambda values, _: values).equals(cells)


def test_the_column_of_a_path():
    names = ("m", "a.b", "m[].t x")
    paths = ("m[].t", "a.b", "a.b[].c", "m", "mm", "a")
    assert [column_of(path, names) for path in paths] == ["m", "a.b", "a.b", "m", None, None]
