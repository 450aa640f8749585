"""Nested data that is bad: each kind has its code, and costs no more than the limits allow.

The sizes are small, and so are the limits; what passes within them is in test_nested.
"""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.base.errors import AssayError
from provenance.base.limits import Limits
from provenance.readers.ingest import ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import read_shard, read_table

TURN = (ColumnSpec("role"), ColumnSpec("n", "integer"))
SPECS = (
    ColumnSpec("i", "integer"),
    ColumnSpec("m", "array", items=ColumnSpec("items", "object", properties=TURN)),
    ColumnSpec("e", "array", items=ColumnSpec("items", "number")),
)
GOOD = '{"i": 1, "m": [{"role": "user", "n": 7}], "e": [0.5, 2]}\n'
DEEP = 100_000  # levels


def read(tmp_path, data, specs=SPECS, name="a.jsonl", **limits):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return ingest([str(path)], specs, tmp_path / "out", limits=Limits(**limits))


def refused(tmp_path, *given, **limits):
    with pytest.raises(AssayError) as caught:
        read(tmp_path, *given, **limits)
    assert not list((tmp_path / "out").rglob("*.json"))  # no snapshot that someone may take
    return caught.value


def typed(snapshot):
    return pa.concat_tables([read_shard(ref).table for ref in snapshot.shards])


REFUSED = {  # the text, its code, and how it is read: by a contract, without one, or both
    "lists too deep to be parsed": (f'{{"e": {"[" * DEEP}{"]" * DEEP}}}', "I008", "both"),
    "objects too deep": ('{"e": ' + '{"a":' * DEEP + "1" + "}" * DEEP + "}", "I008", "both"),
    "an object here, a text there": (GOOD + '{"m": ["a"]}', "I008", "both"),
    "a number and a text": (GOOD + '{"e": [1, "1"]}', "I008", "both"),
    "a key without a name": ('{"o": {"": 1}}', "I027", "none"),
    "a key with a NUL": ('{"o": {"a\\u0000": 1}}', "I027", "none"),
    "a column without a name": ('{"": 1}', "I027", "none"),
    "names that differ in case": ('{"a": 1, "A": 2}', "I026", "none"),
    "UTF-16": ((GOOD * 9).encode("utf-16"), "I021", "both"),
    "UTF-16 without a mark": ((GOOD * 9).encode("utf-16-le"), "I021", "both"),
    "nothing": ("", "I001", "both"),
    "blank lines": ("\n \n", "I001", "both"),
    "no object": ("1\nnull\n[]\n", "I004", "both"),
    "two objects in every line": (GOOD.strip() * 2 + "\n", "I004", "both"),
    "objects without keys": ("{}\n" * 9, "I001", "none"),
    "objects without the keys of the contract": ("{}\n" * 9, "I018", "contract"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_no_dataset_is_refused(tmp_path, kind):
    text, code, how = REFUSED[kind]
    for specs in {"both": (SPECS, None), "none": (None,), "contract": (SPECS,)}[how]:
        assert refused(tmp_path, text, specs).code == f"ASSAY-{code}"


ARRAYS = {
    b"[]": "I001",
    b"[{}, {}]": "I001",
    b'[{"i": 1}, ]': "I004",
    b"[[1]]": "I004",
    b'[{"i": ' + b"[" * DEEP + b"]" * DEEP + b"}]": "I008",
    '[{"i": 1}]'.encode("utf-16"): "I021",
}


@pytest.mark.parametrize("text", ARRAYS, ids=lambda text: str(text[:12]))
def test_an_array_that_is_no_dataset_is_refused(tmp_path, text):
    assert refused(tmp_path, text, None, "a.json").code == f"ASSAY-{ARRAYS[text]}"


REJECTED = {
    "a key twice": ('{"i": 1, "i": 2}', "I024"),
    "a key twice inside": ('{"m": [{"role": "a", "role": "b"}]}', "I024"),
    "a key of no column": ('{"x": [[[1]]]}', "I024"),
    "a key of no part": ('{"m": [{"x": 1}]}', "I024"),
    "a list": ("[1, 2]", "I024"),
    "a number": ("5", "I024"),
    "two objects": ('{"i": 1}{"i": 2}', "I024"),
    "a comment": ("// note", "I024"),
    "a raw NUL": ('{"m": [{"role": "a\0"}]}', "I024"),
    "half a character": ('{"m": [{"role": "\\ud800"}]}', "I022"),
    "half a character in a key": ('{"\\udfff": 1}', "I022"),
    "Latin-1": (b'{"m": [{"role": "caf\xe9"}]}', "I022"),
}


def test_a_line_that_is_no_row_is_rejected_and_no_other(tmp_path):
    bad = [line if isinstance(line, bytes) else line.encode() for line, _ in REJECTED.values()]
    for specs in (SPECS, None):
        text = GOOD.encode() + b"\n".join(bad) + b"\n" + GOOD.encode()
        if specs is None:  # keys are columns and parts then, until one has another type
            text = b"\n".join(line for line in text.split(b"\n") if b'"x"' not in line)
        snapshot = read(tmp_path, text, specs)
        found = read_table(snapshot.rejected).to_pylist()
        codes = [
            f"ASSAY-{code}" for line, code in REJECTED.values() if specs or '"x"' not in str(line)
        ]
        assert [item["_reason"].partition(":")[0] for item in found] == codes
        assert typed(snapshot).num_rows == 2


HELD = {
    "no number": ('{"e": [1, NaN]}', "V001", "e[]"),
    "an infinity": ('{"e": [-Infinity]}', "V002", "e[]"),
    "1e400": ('{"e": [1e400]}', "V002", "e[]"),
    "2**63": ('{"m": [{"n": 9223372036854775808}]}', "I034", "m[].n"),
    "2**64": ('{"i": 18446744073709551616}', "I034", "i"),
    "-2**63 - 1": ('{"m": [{"n": -9223372036854775809}]}', "I034", "m[].n"),
    "a NUL": ('{"m": [{"role": "\\u0000"}]}', "I023", "m[].role"),
}


def test_a_value_that_is_bad_holds_its_row(tmp_path):
    snapshot = read(tmp_path, GOOD + "\n".join(line for line, _, _ in HELD.values()))
    found = read_table(snapshot.held_findings).to_pylist()
    assert [(item["code"], item["column"]) for item in found] == [v[1:] for v in HELD.values()]
    assert typed(snapshot).num_rows == 1


ODD = {"a.b": 1, "__proto__": {"constructor": [1]}, "o": {"x.y": "z", "x": {"y": "w"}, "[]": None}}


def test_odd_keys_are_kept(tmp_path):
    snapshot = read(tmp_path, json.dumps(ODD) + "\n", None)
    read_back = {n: json.loads(text) for n, text in typed(snapshot).to_pylist()[0].items()}
    assert read_back == ODD
    specs = (ColumnSpec("a.b", "integer"), *snapshot.nested)
    assert typed(read(tmp_path, json.dumps(ODD) + "\n", specs)).to_pylist() == [ODD]


@pytest.mark.parametrize("place", ["top", "object", "list"])
def test_names_that_each_line_makes_anew_are_no_columns(tmp_path, place):
    rows = ({f"k{n}": 1} for n in range(1_100))
    shape = {"top": lambda row: row, "object": lambda row: {"o": row},
             "list": lambda row: {"o": [row]}}[place]  # fmt: skip
    text = "\n".join(json.dumps(shape(row)) for row in rows)
    assert refused(tmp_path, text, None, max_columns=1_000).code == "ASSAY-I009"


def test_any_keys_are_a_map_where_the_contract_says_so(tmp_path):
    lines = "".join(json.dumps({"o": {f"k{n}": "v"}}) + "\n" for n in range(1_100))
    table = typed(read(tmp_path, lines, (ColumnSpec("o", "object"),)))
    assert table["o"].to_pylist() == [[(f"k{n}", "v")] for n in range(1_100)]


LARGE = {
    "a long line": ('{"e": [' + "1," * 40_000 + "1]}", {"max_row_bytes": 10_000}),
    "many numbers": ('{"e": [' + "1," * 5_000 + "1]}", {"max_items": 5_000}),
    "many objects": ('{"m": [' + "{}," * 5_000 + "{}]}", {"max_items": 5_000}),
    "many lists": ('{"x": [' + "[]," * 5_000 + "[]]}", {"max_items": 5_000}),
}


@pytest.mark.parametrize("kind", LARGE)
def test_more_than_a_limit_is_refused(tmp_path, kind):
    text, limits = LARGE[kind]
    for specs in (SPECS, None) if '"x"' not in text else (None,):
        error = refused(tmp_path, GOOD + text, specs, **limits)
        assert (error.code, next(iter(limits)) in error.fix) == ("ASSAY-I006", True)


@pytest.mark.parametrize("rows", [1, 50])
def test_a_long_list_in_parquet_is_refused(tmp_path, rows):
    cells = [[0.5]] * (rows - 1) + [[0.5] * 5_001]
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"e": cells}), path)
    with pytest.raises(AssayError) as caught:
        ingest([str(path)], None, tmp_path / "out", limits=Limits(max_items=5_000))
    assert caught.value.code == "ASSAY-I006"
