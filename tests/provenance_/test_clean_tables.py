"""Clean tables: none is refused, none is changed, in whatever form honest people write them."""

import clean_tables
import numpy as np
import pyarrow as pa
import pytest

from provenance.readers.ingest import Limits, ingest
from provenance.rows.shards import as_read, read_shard

SAMPLE, ALL = 60, 1000
# texts that look odd are kept and told of; nothing else may be said of an honest file
TOLD = {"ASSAY-I031", "ASSAY-I037"}


def through(tmp_path, name, data, specs, **options):
    path = tmp_path / name
    path.write_bytes(data)
    return ingest([str(path)], specs, tmp_path / "out", limits=Limits(), shard_rows=40, **options)


def assert_unchanged(snapshot, wanted, *, texts=None):
    shards = [read_shard(ref) for ref in snapshot.shards]
    assert (snapshot.held, snapshot.rejected) == (None, None)
    assert {notice.code for notice in snapshot.warnings} <= TOLD
    rows = np.concatenate([shard.rows for shard in shards])
    assert rows.tolist() == list(range(len(wanted)))
    table = pa.concat_tables([shard.table for shard in shards]).select(wanted.column_names)
    assert table.schema.equals(wanted.schema)
    assert table.to_pylist() == wanted.to_pylist()
    assert str(table.to_pylist()) == str(wanted.to_pylist())  # -0.0 is not 0.0
    if texts is not None:
        pairs = zip(shards, snapshot.raw, strict=True)
        read = pa.concat_tables([as_read(shard.table, raw) for shard, raw in pairs])
        assert read.select(wanted.column_names).to_pylist() == texts


def text_of(value):
    return None if value is None else clean_tables.as_text(value)


def check(tmp_path, seed):
    made = clean_tables.table(seed)
    wanted = clean_tables.as_arrow(made)
    texts = [dict(zip(made.names, map(text_of, row), strict=True)) for row in made.rows]
    name, data, dialect = clean_tables.as_csv(made, seed)
    assert_unchanged(
        through(tmp_path, name, data, made.specs, dialect=dialect), wanted, texts=texts
    )
    name, data = clean_tables.as_lines(made, seed)
    assert_unchanged(through(tmp_path, name, data, made.specs), wanted, texts=texts)
    data, typed = clean_tables.as_parquet(made, seed)
    assert_unchanged(through(tmp_path, "a.parquet", data, made.specs), typed)


@pytest.mark.parametrize("seed", range(SAMPLE))
def test_a_sample(tmp_path, seed):
    check(tmp_path, seed)


@pytest.mark.long
def test_all_of_them(tmp_path):
    for seed in range(SAMPLE, ALL):
        folder = tmp_path / str(seed)
        folder.mkdir()
        check(folder, seed)
