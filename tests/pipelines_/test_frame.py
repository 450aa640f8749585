"""Frames as sources: the same bytes from every library, and the same refusals as for files."""

import datetime as dt
import hashlib
import json

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import assay
from pipelines.run import frame, reading
from provenance.base.errors import AssayError
from provenance.rows.snapshot import Snapshot

ROWS = 3 * frame.GROUP // 2
COLUMNS = {
    "id": pa.array(range(ROWS), pa.int64()),
    "x": pa.array([n / 7 for n in range(ROWS)]),
    "s": pa.array([None if n % 9 == 0 else f"text {n % 100}" for n in range(ROWS)]),
    "b": pa.array([n % 3 == 0 for n in range(ROWS)]),
    "d": pa.array([dt.date(2025, 1, 1 + n % 28) for n in range(ROWS)]),
}
TABLE = pa.table(COLUMNS)
CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
schema:
  - name: t
    properties:
      - {name: id, logicalType: integer}
      - {name: x, logicalType: number}
"""


def digest(given, tmp_path):
    path = tmp_path / "frame.parquet"
    frame.write(given, path, "memory:test")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_same_columns_are_the_same_bytes_whatever_holds_them(tmp_path):
    cut = pa.concat_tables([TABLE.slice(0, 7), TABLE.slice(7, 50_000), TABLE.slice(50_007)])
    forms = {
        "arrow": TABLE,
        "cut": cut,
        "stream": cut.to_reader(max_chunksize=999),
        "large": TABLE.set_column(2, "s", TABLE["s"].cast(pa.large_string())),
        "dictionary": TABLE.set_column(2, "s", TABLE["s"].dictionary_encode()),
        "pandas": TABLE.to_pandas(types_mapper=pd.ArrowDtype),
        "shuffled index": TABLE.to_pandas(types_mapper=pd.ArrowDtype).set_index(
            np.arange(ROWS)[::-1]
        ),
        "polars": pl.from_arrow(TABLE),
        "chunks of polars": pl.concat(map(pl.from_arrow, (TABLE.slice(0, 9), TABLE.slice(9)))),
    }  # fmt: skip
    found = {name: digest(given, tmp_path) for name, given in forms.items()}
    assert len(set(found.values())) == 1, found
    assert pq.read_table(tmp_path / "frame.parquet").equals(TABLE)
    assert pq.read_metadata(tmp_path / "frame.parquet").num_row_groups == 2
    assert digest(TABLE.slice(1), tmp_path) not in found.values()


def test_a_named_index_is_a_column_and_nan_of_pandas_is_missing(tmp_path):
    given = pd.DataFrame({"x": [1.5, np.nan]}, index=pd.Index([7, 8], name="id"))
    frame.write(given, tmp_path / "a.parquet", "memory:pandas")
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.to_pylist() == [{"x": 1.5, "id": 7}, {"x": None, "id": 8}]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (pd.DataFrame({"a": [1], "odd": ["Ada"]}).assign(odd=[[1, "Ada"]]), "odd"),
        (pd.DataFrame({"odd": pd.Series(["Ada Lovelace", 1], dtype=object)}), "odd"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "column"),
    ],
)
def test_what_cannot_be_columns_is_refused_without_a_value(tmp_path, given, told):
    with pytest.raises(AssayError, match="I008") as caught:
        frame.write(given, tmp_path / "a.parquet", "memory:pandas")
    assert told in caught.value.what
    assert "Ada" not in str(caught.value)


@pytest.mark.parametrize("given", [[1, 2], [], {"a": [1]}, b"a.csv", 3])
def test_what_is_no_frame_is_refused_before_anything_is_made(tmp_path, given):
    with pytest.raises(AssayError, match="I004"):
        assay.run(given, "contract.yaml", store=tmp_path / "store")
    assert not (tmp_path / "store").exists()


def test_a_refusal_names_the_frame_and_leaves_no_store(tmp_path):
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    given = pd.DataFrame({"id": [1.25, None], "x": [1.5, 2.5]})
    with pytest.raises(AssayError, match="contract says integer") as caught:
        assay.run(given, tmp_path / "contract.yaml", store=tmp_path / "store")
    assert (caught.value.code, caught.value.where) == ("ASSAY-I008", "memory:pandas")
    assert "Int64" in caught.value.fix
    assert not (tmp_path / "store").exists()


def test_the_snapshot_and_its_warnings_name_the_frame(tmp_path):
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    path = tmp_path / "frame.parquet"
    pq.write_table(TABLE.select(["id", "x"]).slice(0, 9), path)  # without page checksums
    reading.read_sources(
        str(tmp_path / "contract.yaml"), [str(path)], [], str(tmp_path / "out"), name="memory:x"
    )
    read = Snapshot.load(tmp_path / "out" / "source" / "snapshot.json")
    assert [source.name for source in read.sources] == ["memory:x"]
    assert [(item.code, item.where) for item in read.warnings] == [("ASSAY-I005", "memory:x")]
    assert str(tmp_path / "frame") not in json.dumps([item.as_dict() for item in read.warnings])
