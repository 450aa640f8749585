"""Remote sources: listed, copied once under the limits, refused when they change."""

import http.server
import os
import re
import stat
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import fsspec
import pytest

from provenance.base.errors import AssayError
from provenance.files import remote
from provenance.readers.ingest import Limits, expand, ingest
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import read_shard

SPECS = (ColumnSpec("id", "integer"), ColumnSpec("x"))
TEXT = b"id,x\n1,a\n2,b\n"
SECRET = "s3cr3t"  # noqa: S105


@pytest.fixture
def memory():
    """A folder of its own in fsspec's memory: a function that writes into it, and its URL."""
    root = f"/{uuid.uuid4().hex}"
    files = fsspec.filesystem("memory")
    yield lambda name, data=TEXT: files.pipe_file(f"{root}/{name}", data), f"memory:/{root}"
    files.rm(root, recursive=True)


def read(url, tmp_path, **limits):
    return ingest(expand(url), SPECS, tmp_path / "out", limits=Limits(**limits))


def test_a_folder_or_a_pattern_is_listed(memory):
    write, url = memory
    for name in ("b.csv", "a.csv.gz", "deep/c.csv", "note.txt", ".d.csv", "_tmp/e.csv"):
        write(name)
    assert expand(url) == [f"{url}/{name}" for name in ("a.csv.gz", "b.csv", "deep/c.csv")]
    assert expand(f"{url}/*.csv") == [f"{url}/b.csv"]
    assert expand(f"{url}/b.csv") == [f"{url}/b.csv"]
    write("odd[1].csv")
    assert expand(f"{url}/odd[1].csv") == [f"{url}/odd[1].csv"]
    with pytest.raises(AssayError, match="I014"):
        expand(f"{url}/*.parquet")


def test_objects_are_read_by_the_same_path_and_leave_nothing_behind(memory, tmp_path):
    write, url = memory
    write("a.csv")
    write("b.csv", b"id,x\n3,c\nforty,d\n")
    snapshot = read(url, tmp_path)
    assert snapshot.rows == 4
    assert [source.name for source in snapshot.sources] == [f"{url}/a.csv", f"{url}/b.csv"]
    (shard,) = [read_shard(ref) for ref in snapshot.shards]
    assert shard.table["id"].to_pylist() == [1, 2, 3]
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert not any(name.startswith("fetched") for name in left)
    local = tmp_path / "a.csv"
    local.write_bytes(TEXT)
    same = ingest([str(local)], SPECS, tmp_path / "local", limits=Limits())
    assert same.sources[0].sha256 == snapshot.sources[0].sha256


def test_a_fault_is_told_by_the_url(memory, tmp_path):
    write, url = memory
    write("a.csv", b"id,y\n1,2\n")
    with pytest.raises(AssayError, match="missing: x") as caught:
        read(f"{url}/a.csv", tmp_path)
    assert caught.value.where == f"{url}/a.csv"
    write("b.csv", b"")
    with pytest.raises(AssayError, match="I001"):
        read(f"{url}/b.csv", tmp_path)
    with pytest.raises(AssayError, match="I014"):
        read(f"{url}/none.csv", tmp_path)
    with pytest.raises(AssayError, match="I004"):
        read(f"{url}/a.xlsx", tmp_path)


def test_an_object_over_the_limit_is_not_copied(memory, tmp_path):
    write, url = memory
    write("a.csv")
    with pytest.raises(AssayError, match="I006"):
        read(f"{url}/a.csv", tmp_path, max_bytes=len(TEXT) - 1)
    assert read(f"{url}/a.csv", tmp_path, max_bytes=len(TEXT)).rows == 2


def test_the_copy_is_private(memory, tmp_path):
    write, url = memory
    write("a.csv")
    remote.fetch(f"{url}/a.csv", tmp_path / "copy", Limits())
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600
    with pytest.raises(FileExistsError):
        remote.fetch(f"{url}/a.csv", tmp_path / "copy", Limits())


def test_an_object_that_changes_while_it_is_copied(memory, tmp_path, monkeypatch):
    write, url = memory
    write("a.csv")
    whole = remote._Store.blocks

    def meanwhile(store):
        yield from whole(store)
        write("a.csv", TEXT.replace(b"a", b"z"))

    monkeypatch.setattr(remote._Store, "blocks", meanwhile)
    with pytest.raises(AssayError, match="I013"):
        read(f"{url}/a.csv", tmp_path)


def test_files_by_url(tmp_path):
    path = tmp_path / "a b.csv"
    path.write_bytes(TEXT)
    for url in (f"file://{path}", f"FILE://localhost{path}", path.as_uri()):
        assert expand(url) == [str(path)]
    assert expand(tmp_path.as_uri()) == [str(path)]
    with pytest.raises(AssayError, match="I015"):
        expand("file://elsewhere/a.csv")
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(AssayError, match="I010"):
        read((tmp_path / "pipe.csv").as_uri(), tmp_path)


@pytest.mark.parametrize(
    "url", ["ftp://h/a.csv", "sftp://h/a.csv", "zip://a.csv", "git://x/a.csv", "reference://x"]
)
def test_other_schemes_are_refused_by_name(url):
    with pytest.raises(AssayError, match=url.partition(":")[0]) as caught:
        expand(url)
    assert caught.value.code == "ASSAY-I015"
    told = set(re.findall(r"[a-z0-9]+://", caught.value.fix))
    page = Path(__file__).parents[2] / "docs" / "operations.md"
    assert told >= {"s3://", "postgresql://"}
    assert all(f"`{scheme}" in page.read_text(encoding="utf-8") for scheme in told)


def test_a_missing_extra_is_named():
    wanted = {
        "s3://b/a.csv": "s3",
        "gs://b/a.csv": "gs",
        "az://c/a.csv": "az",
        "https://h/a": "http",
    }
    code = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(('s3fs', 'gcsfs', 'adlfs', 'aiohttp'))\n"
        "from provenance.base.errors import AssayError\n"
        "from provenance.readers.ingest import expand\n"
        f"for url in {list(wanted)!r}:\n"
        "    try: expand(url)\n"
        "    except AssayError as error: print(error.code, error.fix)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    told = [f"ASSAY-I015 pip install 'assay[{extra}]'" for extra in wanted.values()]
    assert done.stdout.splitlines() == told


SHOWN = [
    ("https://me:s3cr3t@host/a.csv?sig=s3cr3t#s3cr3t", "https://host/a.csv"),
    ("s3://me:s3cr3t@bucket/a.csv?token=s3cr3t", "s3://bucket/a.csv"),
    ("abfs://c:s3cr3t@host/a.csv", "abfs://host/a.csv"),
    ("abfs://c@a.dfs.core.windows.net/a.csv", "abfs://c@a.dfs.core.windows.net/a.csv"),
    ("s3://bucket/part-?.csv", "s3://bucket/part-?.csv"),
    ("/a/b@c.csv?d=e", "/a/b@c.csv?d=e"),
]


@pytest.mark.parametrize(("url", "told"), SHOWN)
def test_nothing_secret_is_shown(url, told):
    assert remote.shown(url) == told


@pytest.mark.parametrize("url", ["s3://me:s3cr3t@bucket/a.csv", "gs://s3cr3t@bucket/a.csv"])
def test_credentials_in_the_url_of_a_store_are_refused_untold(url):
    with pytest.raises(AssayError, match="credentials") as caught:
        expand(url)
    assert SECRET not in str(caught.value) + repr(caught.value.args)


def test_azure_as_the_contract_standard_writes_it():
    _, told = remote._known("az://account.blob.core.windows.net/container/p/a.csv")
    assert told == "az://container@account.blob.core.windows.net/p/a.csv"


class _Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        is_known = self.path.startswith("/a.csv")
        self.send_response(200 if is_known else 403)
        self.send_header("Content-Length", str(len(TEXT) if is_known else 0))
        self.end_headers()
        if is_known and self.command == "GET":
            self.wfile.write(TEXT)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_):
        pass


def test_a_web_server(tmp_path):
    pytest.importorskip("aiohttp")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Site) as site:
        threading.Thread(target=site.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{site.server_port}"
        snapshot = read(f"{root}/a.csv?sig={SECRET}", tmp_path)
        assert (snapshot.rows, snapshot.sources[0].name) == (2, f"{root}/a.csv")
        with pytest.raises(AssayError, match="I014") as caught:
            read(f"{root}/b.csv?sig={SECRET}", tmp_path)
        site.shutdown()
    assert SECRET not in str(caught.value)
    with pytest.raises(AssayError, match="I014"):
        read(f"{root}/a.csv", tmp_path)
