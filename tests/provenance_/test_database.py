"""A table of PostgreSQL, from a real server that is started for these tests and then ended."""

import contextlib
import datetime as dt
import decimal
import glob
import math
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pyarrow as pa
import pytest

from provenance.base.errors import AssayError
from provenance.files import remote
from provenance.readers.ingest import Limits, expand, ingest
from provenance.rows.shards import read_shard

PROGRAMS = next(iter(sorted(glob.glob("/usr/lib/postgresql/*/bin"))[::-1]), "")  # noqa: PTH207
TABLES = """
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TABLE "odd ""name" (
  id int PRIMARY KEY, price numeric(12, 2), rate float8, small int2, note text, day date,
  at timestamptz, ok bool, tag uuid, feeling mood, list int[], "Sélect" varchar(9));
INSERT INTO "odd ""name" VALUES
  (3, 1234567890.01, 0.1, 1, 'æ, "q"', '2024-02-29', '2024-01-01 00:00:00+02', true,
   '00000000-0000-0000-0000-000000000001', 'glad', '{1,2}', 'x'),
  (1, -0.01, 'NaN', -2, '', '0001-01-01', '1970-01-01 00:00:00+00', false, NULL, 'sad', NULL, NULL),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE open_number (x numeric);
CREATE TABLE endless (day date); INSERT INTO endless VALUES ('infinity');
CREATE TABLE nothing (x numeric(5, 1)); INSERT INTO nothing VALUES ('NaN');
CREATE TABLE wide AS SELECT g AS id, repeat('x', 1000) AS note FROM generate_series(1, 2000) g;
"""


@pytest.fixture(scope="module")
def server():
    """The URL of a server's database; the server runs as a user who is not root."""
    if not PROGRAMS:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt install postgresql)")
    pytest.importorskip("adbc_driver_postgresql")
    user = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    folder = Path(tempfile.mkdtemp(prefix="assay-pg-", dir="/tmp"))
    if user:
        shutil.chown(folder, **user)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def run(program, *words, **more):
        words = [f"{PROGRAMS}/{program}", *words]
        subprocess.run(words, check=True, capture_output=True, cwd="/tmp", **more)

    run("initdb", "-D", folder / "data", "-A", "trust", "-U", "assay", "--no-sync", **user)
    options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off"
    words = ["-D", folder / "data", "-w", "-l", folder / "log"]
    run("pg_ctl", *words, "-o", options, "start", **user)
    try:
        where = ["-h", "127.0.0.1", "-p", str(port), "-U", "assay", "postgres"]
        run("psql", "-v", "ON_ERROR_STOP=1", "-c", TABLES, *where)
        yield f"postgresql://127.0.0.1:{port}/postgres"
    finally:
        with contextlib.suppress(subprocess.CalledProcessError):
            run("pg_ctl", *words, "-m", "immediate", "stop", **user)
        shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    monkeypatch.setenv("PGUSER", "assay")
    monkeypatch.setenv("PGPASSWORD", "s3cr3t")


def read(url, folder, **limits):
    return ingest(expand(url), None, folder, limits=Limits(**limits))


def refused(url, folder, **limits):
    with pytest.raises(AssayError) as caught:
        read(url, folder, **limits)
    assert "s3cr3t" not in str(caught.value)
    assert not list(folder.rglob("*.parquet"))
    return caught.value.code


def test_every_type_is_read_exactly_and_in_the_order_of_the_key(server, tmp_path):
    got = read(f'{server}/public.odd "name', tmp_path / "a")
    [source] = got.sources
    assert (source.format, source.rows) == ("parquet", 3)
    assert source.name.endswith('/postgres/public.odd "name')
    table = read_shard(got.shards[0]).table
    assert table.schema.field("price").type == pa.decimal128(12, 2)
    first, empty, last = table.to_pylist()
    assert [row["id"] for row in (first, empty, last)] == [1, 2, 3]
    assert (first["price"], first["day"]) == (decimal.Decimal("-0.01"), dt.date(1, 1, 1))
    assert math.isnan(first["rate"])
    assert {*empty.values()} == {2, None}
    assert last["price"] == decimal.Decimal("1234567890.01")
    assert last["at"] == dt.datetime(2023, 12, 31, 22, tzinfo=dt.UTC)
    assert (last["feeling"], last["list"], last["tag"][-1]) == ("glad", "{1,2}", "1")
    assert (last["note"], last["Sélect"]) == ('æ, "q"', "x")


def test_the_same_table_gives_the_same_bytes(server, tmp_path):
    digests = [read(f"{server}/wide", tmp_path / name).sources[0].sha256 for name in "ab"]
    assert digests[0] == digests[1]


def test_what_cannot_be_read_is_refused_untold(server, tmp_path):
    assert refused(f"{server}/missing", tmp_path) == "ASSAY-I014"
    assert refused(f"{server}x/wide", tmp_path) == "ASSAY-I014"
    assert refused("postgresql://127.0.0.1:1/postgres/wide", tmp_path) == "ASSAY-I014"
    assert refused(f"{server}/open_number", tmp_path) == "ASSAY-I008"
    assert refused(f"{server}/endless", tmp_path) == "ASSAY-V002"
    assert refused(f"{server}/nothing", tmp_path) == "ASSAY-V002"
    assert refused(f"{server}/wide", tmp_path, max_bytes=100_000) == "ASSAY-I006"


@pytest.mark.parametrize(
    "url", ["postgresql://h/db", "postgresql://h/db/a.b.c", "postgres://h", "postgresql:///db/t"]
)
def test_a_url_that_names_no_table_is_refused(url, tmp_path):
    assert refused(url, tmp_path) == "ASSAY-I015"


def test_a_password_in_the_url_is_refused_untold(tmp_path):
    assert refused("postgresql://me:s3cr3t@h/db/t", tmp_path) == "ASSAY-I015"
    assert remote.shown("postgresql://me:s3cr3t@h/db/t?sslmode=x") == "postgresql://h/db/t"


def test_no_contract_may_name_a_server(server):
    assert not remote.is_plain_store(f"{server}/wide")
