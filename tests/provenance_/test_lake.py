"""Tables of Delta Lake, made by its own library: versions, order, types, and what is refused."""

import datetime as dt
import decimal
import json
import random
import shutil
import subprocess
import sys

import pyarrow as pa
import pytest

from checks.contract import loader
from pipelines.run import named_files, reading
from pipelines.run.request import Request, prepare
from provenance.base.errors import AssayError
from provenance.files import delta, remote
from provenance.readers.ingest import Limits, expand, ingest
from provenance.rows.shards import read_shard
from provenance.rows.snapshot import Snapshot

deltalake = pytest.importorskip("deltalake", reason="needs the extra: pip install 'assay[delta]'")


def rows(first, count):
    ids = range(first, first + count)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "city": [("Oslo", "Rome")[n % 2] for n in ids],
            "price": pa.array([decimal.Decimal(n) / 100 for n in ids], pa.decimal128(12, 2)),
            "day": [dt.date(2026, 1, 1 + n % 28) for n in ids],
            "at": pa.array([dt.datetime(2026, 1, 1, n % 24, tzinfo=dt.UTC) for n in ids],
                           pa.timestamp("us", "UTC")),
            "note": ["æ" if n % 3 else None for n in ids],
        }
    )  # fmt: skip


@pytest.fixture
def table(tmp_path):
    """A partitioned table of two versions in a folder with an odd name."""
    folder = tmp_path / "lo ans@3"
    deltalake.write_deltalake(folder, rows(0, 60), partition_by=["city"])
    deltalake.write_deltalake(folder, rows(60, 40), mode="append")
    return folder


def read(source, folder, **limits):
    [found] = expand(source)
    return ingest(expand(found), None, folder, limits=Limits(**limits))


def ids(snapshot):
    return [item for ref in snapshot.shards for item in read_shard(ref).table["id"].to_pylist()]


def refused(source, folder, **limits):
    with pytest.raises(AssayError) as caught:
        read(source, folder, **limits)
    assert not list(folder.rglob("shard-*"))
    return caught.value


def test_a_folder_with_a_log_is_a_table_of_one_version(table, tmp_path):
    newest = read(str(table), tmp_path / "a")
    [source] = newest.sources
    assert (source.rows, source.format) == (100, "parquet")
    assert source.name.endswith("/lo%20ans%403@1")
    assert sorted(ids(newest)) == list(range(100))
    deltalake.write_deltalake(table, rows(100, 5), mode="append")
    again = read(source.name, tmp_path / "b")  # the recorded name reads the same rows again
    assert again.sources == newest.sources
    assert read(source.name.replace("@1", "@0"), tmp_path / "c").sources[0].rows == 60
    assert read(str(table), tmp_path / "d").sources[0].name.endswith("@2")


def test_types_come_whole(table, tmp_path):
    shard = read_shard(read(str(table), tmp_path / "a").shards[0]).table
    got = {item["id"]: item for item in shard.to_pylist()}
    assert {n: got[n] for n in range(100)} == {
        item["id"]: item for item in rows(0, 100).to_pylist()
    }
    assert shard.schema.field("price").type == pa.decimal128(12, 2)


def test_what_was_deleted_is_not_read(table, tmp_path):
    deltalake.DeltaTable(table).delete("id >= 10")
    assert sorted(ids(read(str(table), tmp_path / "a"))) == list(range(10))
    assert sorted(ids(read(f"{delta.url_of(str(table))}@1", tmp_path / "b"))) == list(range(100))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("{}@7", "I014"),
        ("{}x", "I014"),
        ("delta+file://here/x", "I015"),
        ("delta+file:relative", "I014"),
        ("delta+file:///a?x=1", "I015"),
        ("delta+ftp://a/b", "I015"),
        ("delta+s3://me:s3cr3t@bucket/t", "I015"),
    ],
)
def test_what_names_no_table_is_refused(table, tmp_path, url, code):
    error = refused(url.format(delta.url_of(str(table))), tmp_path / "a")
    assert error.code == f"ASSAY-{code}"
    assert "s3cr3t" not in str(error)


def test_files_elsewhere_and_broken_ones_are_refused(table, tmp_path):
    [moved, *_] = sorted(table.rglob("*.parquet"))
    shutil.move(moved, tmp_path / "out.parquet")
    moved.symlink_to(tmp_path / "out.parquet")
    assert refused(str(table), tmp_path / "a").code == "ASSAY-I011"
    moved.unlink()
    assert refused(str(table), tmp_path / "b").code == "ASSAY-I014"
    moved.write_bytes(b"PAR1 no PAR1")
    assert refused(str(table), tmp_path / "c").code == "ASSAY-I014"
    log = table / delta.LOG / "00000000000000000001.json"
    log.write_text(log.read_text()[:-20])
    assert refused(str(table), tmp_path / "d").code == "ASSAY-I014"


@pytest.mark.parametrize("named", ["file://{}/secret.parquet", "../secret.parquet",
                                   "city=Oslo/../../secret.parquet", "a\0b"])  # fmt: skip
def test_a_log_that_names_files_elsewhere_is_refused(table, tmp_path, named):
    shutil.copy(next(table.rglob("*.parquet")), tmp_path / "secret.parquet")
    log = table / delta.LOG / "00000000000000000000.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    for line in lines:
        if "add" in line:
            line["add"]["path"] = named.format(tmp_path)
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert refused(str(table), tmp_path / "a").code in ("ASSAY-I011", "ASSAY-I014")


def test_no_name_that_is_opened_as_it_is_or_decoded_leads_out(table, tmp_path):
    [moved, *_] = sorted(table.rglob("*.parquet"))
    outside = tmp_path / "elsewhere"
    outside.mkdir()
    shutil.copy(moved, outside / "s.parquet")
    (table / "linkA").mkdir()
    shutil.copy(moved, table / "linkA" / "s.parquet")
    (table / "link%41").symlink_to(outside)
    log = table / delta.LOG / "00000000000000000000.json"
    whole = log.read_text()
    for number, named in enumerate(("link%2541/s.parquet", "link%252541/s.parquet")):
        lines = [json.loads(line) for line in whole.splitlines()]
        next(line for line in lines if "add" in line)["add"]["path"] = named
        log.write_text("".join(json.dumps(line) + "\n" for line in lines))
        assert refused(str(table), tmp_path / f"out{number}").code == "ASSAY-I011"


def test_a_log_that_lies_elsewhere_is_refused(table, tmp_path):
    shutil.move(table / delta.LOG, tmp_path / "log")
    (table / delta.LOG).symlink_to(tmp_path / "log")
    assert refused(str(table), tmp_path / "out").code == "ASSAY-I011"


WORDS = (b'"path"', b"null", b"-1", b"9" * 20, b'"../../x"', b"{}", b"[]", b'""', b"%2e%2e%2f",
         b'"decimal(99,99)"', b"\xff", b"\\u0000")  # fmt: skip


def test_a_broken_table_is_read_or_refused_with_a_code(table, tmp_path):
    rng = random.Random(3)
    codes = set()
    for number in range(40):
        changed = tmp_path / "changed"
        shutil.copytree(table, changed)
        files = sorted(path for path in changed.rglob("*") if path.is_file())
        logs = [path for path in files if path.suffix == ".json"]
        path = rng.choice(logs if number % 4 else files)
        data = bytearray(path.read_bytes())
        at = rng.randrange(len(data))
        data[at : at + rng.randint(0, 20)] = rng.choice(WORDS)
        path.write_bytes(data)
        try:
            read(str(changed), tmp_path / "out")
        except AssayError as error:
            codes.add(error.code)
        shutil.rmtree(changed)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert "ASSAY-I014" in codes
    assert all(code.startswith("ASSAY-I") for code in codes)


def test_what_needs_a_reader_that_knows_more_is_refused(table, tmp_path):
    log = table / delta.LOG / "00000000000000000000.json"
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    features = {"readerFeatures": ["deletionVectors"], "writerFeatures": ["deletionVectors"]}
    for line in lines:
        if "protocol" in line:
            line["protocol"] = {"minReaderVersion": 3, "minWriterVersion": 7, **features}
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert refused(str(table), tmp_path / "a").code == "ASSAY-I008"


def test_limits_hold(table, tmp_path):
    assert refused(str(table), tmp_path / "a", max_bytes=200).code == "ASSAY-I006"
    empty = tmp_path / "empty"
    deltalake.write_deltalake(empty, rows(0, 0))
    assert refused(str(empty), tmp_path / "b").code == "ASSAY-I002"


def test_a_missing_extra_is_named(tmp_path):
    (tmp_path / delta.LOG).mkdir()
    code = (
        "import sys\nsys.modules['deltalake'] = None\n"
        "from provenance.base.errors import AssayError\n"
        "from provenance.readers.ingest import expand\n"
        f"try: expand(expand({str(tmp_path)!r})[0])\n"
        "except AssayError as error: print(error.code, error.fix)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "ASSAY-I015 pip install 'assay[delta]'\n"


CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: lake
version: 1.0.0
status: active
name: lake
servers:
  - {{server: here, type: local, path: {path}, format: delta}}
customProperties:
  - property: assay.checks
    value: {{duplicates: {{test: {path}}}}}
schema:
  - name: rows
    properties:
      - {{name: id, logicalType: integer}}
      - {{name: city, logicalType: string}}
      - {{name: price, logicalType: number}}
      - {{name: day, logicalType: date}}
      - {{name: at, logicalType: timestamp}}
      - {{name: note, logicalType: string}}
"""


def test_a_contract_names_its_folder_and_none_outside(table, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    shutil.copytree(table, home / "t")
    (home / "c.yaml").write_text(CONTRACT.format(path="t"))
    prepared = prepare(Request(home / "c.yaml", home / "store"))
    reading.read_sources(str(home / "c.yaml"), list(prepared.sources), [], str(home / "read"))
    parts = [Snapshot.load(home / "read" / role / "snapshot.json") for role in ("source", "test")]
    assert [part.sources[0].name for part in parts] == [f"delta+file://{home}/t@1"] * 2
    contract = loader.load(home / "c.yaml")
    before = named_files.digests(contract, lambda: None)
    deltalake.write_deltalake(home / "t", rows(100, 5), mode="append")
    assert named_files.digests(contract, lambda: None) != before
    (home / "far").symlink_to(table)
    (home / "c.yaml").write_text(CONTRACT.format(path="far"))
    with pytest.raises(AssayError, match="C010"):
        prepare(Request(home / "c.yaml", home / "store"))


def test_no_contract_may_name_a_table_by_url():
    assert not remote.is_plain_store("delta+s3://bucket/t")


def test_a_table_in_a_store_is_read_like_a_local_one(table, tmp_path, monkeypatch):
    server = pytest.importorskip("moto.server", reason="needs moto, of the dev group")
    boto3 = pytest.importorskip("boto3")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    given = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test",
             "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1",
             "AWS_ALLOW_HTTP": "true"}  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    try:
        client = boto3.client("s3")
        client.create_bucket(Bucket="lake")
        for path in table.rglob("*"):
            if path.is_file():
                client.put_object(Bucket="lake", Key=f"t/{path.relative_to(table)}",
                                  Body=path.read_bytes())  # fmt: skip
        far = read("delta+s3://lake/t", tmp_path / "far")
        missing = refused("delta+s3://lake/none", tmp_path / "none")
    finally:
        running.stop()
    assert far.sources[0].name == "delta+s3://lake/t@1"
    assert far.sources[0].sha256 == read(str(table), tmp_path / "near").sources[0].sha256
    assert missing.code == "ASSAY-I014"
