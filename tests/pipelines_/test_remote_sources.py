"""An object store through the command line: `init` and `run` on s3://, against a local server."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from checks.contract import loader
from pipelines.run import reading
from provenance.base.errors import AssayError
from provenance.rows.shards import read_shard
from provenance.rows.snapshot import Snapshot

ASSAY = str(Path(sys.executable).parent / "assay")
SECRET = "n0t-4-r3al-s3cret"  # noqa: S105
ROWS = ["id,age,city", *(f"{n},{20 + n % 40},{('Oslo', 'Bergen')[n % 2]}" for n in range(200))]


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a local server that speaks S3: the client that fills it."""
    pytest.importorskip("s3fs", reason="needs the extra: pip install 'assay[s3]'")
    server = pytest.importorskip("moto.server", reason="needs moto, of the dev group")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    import boto3

    client = boto3.client("s3")
    client.create_bucket(Bucket="loans")
    yield client
    running.stop()


@pytest.fixture(autouse=True)
def no_patience(monkeypatch):
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")


def assay(*words, cwd):
    done = subprocess.run(
        [ASSAY, *words, "--json"], capture_output=True, text=True, check=False, cwd=cwd
    )
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def test_a_folder_of_a_store_is_read_like_a_local_one(bucket, tmp_path):
    for part in range(2):
        text = "\n".join([ROWS[0], *ROWS[1 + part :: 2]]) + "\n"
        (tmp_path / f"part-{part}.csv").write_text(text)
        bucket.put_object(Bucket="loans", Key=f"night/part-{part}.csv", Body=text.encode())
    bucket.put_object(Bucket="loans", Key="night/_SUCCESS", Body=b"")
    read = [
        reading.read_bare(source, str(tmp_path / name))["snapshot"]
        for name, source in {
            "far": "s3://loans/night",
            "near": str(tmp_path / "part-*.csv"),
        }.items()
    ]
    far, near = (Snapshot.load(Path(path)) for path in read)
    assert [s.name for s in far.sources] == [f"s3://loans/night/part-{n}.csv" for n in range(2)]
    assert [s.sha256 for s in far.sources] == [s.sha256 for s in near.sources]
    for one, two in zip(far.shards, near.shards, strict=True):
        assert read_shard(one).table.equals(read_shard(two).table)
    with pytest.raises(AssayError, match="I014"):
        reading.read_bare("s3://loans/none.csv", str(tmp_path))


@pytest.mark.long
def test_init_and_run_on_a_folder_of_a_store(bucket, tmp_path):
    for part, (low, high) in enumerate([(1, 101), (101, 201)]):
        text = "\n".join([ROWS[0], *ROWS[low:high]]) + "\n"
        bucket.put_object(Bucket="loans", Key=f"night/part-{part}.csv", Body=text.encode())
    code, told, _ = assay("init", "s3://loans/night", "--key", "id", "-o", "c.yaml", cwd=tmp_path)
    assert code == 0, told
    contract = loader.load(tmp_path / "c.yaml")
    assert contract.source == "s3://loans/night"
    code, told, _ = assay("run", "c.yaml", "--direct", "--store", "store", cwd=tmp_path)
    assert (code, told["verdict"], told["rows"]["source"]) == (0, "pass", 200), told
    number = str(told["run"])
    code, shown, _ = assay("ledger", "show", number, "--store", "store", cwd=tmp_path)
    assert "s3://loans/night/part-1.csv" in json.dumps(shown)
    written = [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]
    assert not (tmp_path / "store" / "staging").exists()

    bucket.put_object(Bucket="loans", Key="night/part-2.csv", Body=b"id,age\n1,2\n")
    code, told, _ = assay("run", "c.yaml", "--direct", "--store", "store", cwd=tmp_path)
    assert (code, told["error"]["code"]) == (3, "ASSAY-I017")
    assert told["error"]["where"] == "s3://loans/night/part-2.csv"
    words = ["--source", f"s3://loans/none.csv?token={SECRET}", "--direct", "--store", "store"]
    code, told, err = assay("run", "c.yaml", *words, cwd=tmp_path)
    assert (code, told["error"]["code"]) == (3, "ASSAY-I014")
    assert SECRET not in json.dumps(told) + err
    elsewhere = os.environ | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    done = subprocess.run(
        [ASSAY, "run", "c.yaml", "--direct", "--store", "store"],
        capture_output=True, text=True, check=False, cwd=tmp_path, env=elsewhere,
    )  # fmt: skip
    assert done.returncode == 3
    assert "ASSAY-I014" in done.stderr


LOCATIONS = {
    "s3://loans/night/*.csv": None,
    "gs://loans/a.csv": None,
    "abfss://container@account.dfs.core.windows.net/a.csv": None,
    "https://example.org/a.csv": "C010",
    "file:///etc/passwd": "C010",
    "memory://a.csv": "C010",
    "s3://key:secret@loans/a.csv": "C010",
    "s3://loans/a.csv?token=1": "C010",
    "/etc/passwd": "C010",
    "../a.csv": "C010",
}


@pytest.mark.parametrize("location", LOCATIONS)
def test_what_a_contract_may_name_as_a_location(tmp_path, location):
    path = tmp_path / "c.yaml"
    path.write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nservers:\n"
        f"  - {{server: s, type: s3, location: '{location}', endpointUrl: 'http://evil.example'}}\n"
        "schema:\n  - {name: t, properties: [{name: a}]}\n"
    )
    if LOCATIONS[location]:
        with pytest.raises(AssayError, match=LOCATIONS[location]) as caught:
            loader.load(path)
        assert "secret" not in str(caught.value)
        assert "c.yaml:4" in caught.value.where
    else:
        contract = loader.load(path)
        assert contract.source == location
        assert any("endpoint" in notice.message for notice in contract.warnings)
