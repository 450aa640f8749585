"""The Prefect server of a run: found or started, reached by us alone, and always gone again."""

import contextlib
import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from pipelines.orchestration import server_address
from pipelines.orchestration.server import PrefectServer
from pipelines.orchestration.server_process import MARKER, ServerProcess, template_path
from provenance.base.errors import AssayError

SCRIPT = """
import sys, time
from pipelines.orchestration.server import PrefectServer
with PrefectServer() as server:
    if sys.argv[1] == "up":
        server.wait()
    print(server.pid, flush=True)
    time.sleep(120)
"""


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A machine on which nobody has used Prefect or Assay before."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def servers():
    """Return the process ids of all servers on this machine that Assay started."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = entry.read_bytes().split(b"\0")
        except OSError:
            continue
        if MARKER.encode() in words:
            found.add(int(entry.parent.name))
    return found


def wait_until(condition, seconds=10.0):
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:
        time.sleep(0.05)
    return condition()


def test_two_servers_at_once_on_a_fresh_machine_and_nothing_left(fresh):
    before = dict(os.environ)
    with PrefectServer() as one:
        inside = dict(os.environ)
        with contextlib.ExitStack() as stack:
            two = ServerProcess()
            stack.callback(two.stop)
            assert wait_until(lambda: {one.pid, two.pid} <= servers())  # between fork and exec
            assert one.wait() == inside["PREFECT_API_URL"] == one.url
            two.wait(180)
            with pytest.raises(urllib.error.HTTPError, match="401"):
                urllib.request.urlopen(f"{one.url}/admin/version")  # noqa: S310  our own server
        assert template_path().is_file()
        assert inside["DO_NOT_TRACK"] == inside["PYTHONSAFEPATH"] == "1"
        pids = {one.pid, two.pid}
    assert dict(os.environ) == before
    assert not pids & servers()
    assert list((fresh / "tmp").iterdir()) == []
    assert not (fresh / "home" / ".prefect").exists()


@pytest.mark.parametrize("kill", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_parent_that_dies_takes_its_server_along(fresh, kill):
    parent = subprocess.Popen(
        [sys.executable, "-P", "-c", SCRIPT, "early"],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    pid = int(parent.stdout.readline())
    assert wait_until(lambda: pid in servers())
    parent.send_signal(kill)
    parent.wait(10)
    parent.stdout.close()
    assert wait_until(lambda: pid not in servers())
    assert wait_until(lambda: not list((fresh / "tmp").glob("assay-prefect-*")))


def test_a_server_that_cannot_start_is_e101_with_the_end_of_its_log(fresh, monkeypatch):
    (fresh / "lib").mkdir()
    (fresh / "lib" / "uvicorn.py").write_text("raise RuntimeError('out of order')\n")
    monkeypatch.setenv("PYTHONPATH", str(fresh / "lib"))
    template = template_path()
    template.parent.mkdir(parents=True)
    template.write_bytes(b"not a database")  # and a spoilt template is replaced, not trusted
    with PrefectServer() as server, pytest.raises(AssayError, match="out of order") as raised:
        server.wait()
    assert raised.value.code == "ASSAY-E101"
    assert raised.value.exit_code == 3
    assert "--direct" in raised.value.fix
    assert template.read_bytes().startswith(b"SQLite format 3")
    assert Path(raised.value.where.partition(": ")[0]).is_file()  # the log stays to be read


@pytest.mark.usefixtures("fresh")
def test_a_server_that_is_late_is_e101():
    with PrefectServer() as server, pytest.raises(AssayError, match="not up after 0 s"):
        server.wait(timeout=0.2)


@pytest.mark.usefixtures("fresh")
def test_a_server_configured_in_the_profile_is_used_and_no_child_started():
    assert server_address.configured_url() is None
    Path("../home/.prefect").mkdir()
    Path("../home/.prefect/profiles.toml").write_text(
        'active = "x"\n[profiles.x]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    assert server_address.configured_url() == "http://127.0.0.1:9/api"
    with PrefectServer() as server:
        assert not server.own
        assert server.pid is None
        with pytest.raises(AssayError, match=r"127\.0\.0\.1:9/api") as raised:
            server.wait()
    assert raised.value.code == "ASSAY-E101"


@pytest.mark.parametrize(
    ("profiles", "chosen"),
    [
        ("", None),
        ("this is no TOML [", None),
        ('active = "ephemeral"\n[profiles.ephemeral]\nX = "1"\n', None),
        ('active = "a"\n[profiles.b]\nPREFECT_API_URL = "http://b/api"\n', None),
        ('active = "a"\n[profiles.b]\nPREFECT_API_URL = "http://b/api"\n', "b"),
    ],
)
def test_only_the_active_profile_counts(fresh, monkeypatch, profiles, chosen):
    monkeypatch.setenv("PREFECT_HOME", str(fresh))
    if chosen:
        monkeypatch.setenv("PREFECT_PROFILE", chosen)
    (fresh / "profiles.toml").write_text(profiles)
    assert server_address.configured_url() == ("http://b/api" if chosen else None)


@pytest.mark.parametrize(("status", "there"), [(200, True), (401, True), (404, True), (503, False)])
def test_what_counts_as_an_answer(status, there):
    class Answer(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Answer) as answering:
        threading.Thread(target=answering.handle_request, daemon=True).start()
        url = f"http://127.0.0.1:{answering.server_port}/api"
        if there:
            server_address.check_answers(url)
        else:
            with pytest.raises(AssayError, match="E101"):
                server_address.check_answers(url)


def test_a_server_that_never_answers_is_given_up_and_its_password_not_shown():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with pytest.raises(AssayError, match="E101"):
            server_address.check_answers(url, patience=0.3)
    for bad in ("http://me:secret@127.0.0.1:9/api", "ftp://me:secret@x/api", "http://[x/api"):
        with pytest.raises(AssayError, match="E101") as raised:
            server_address.check_answers(bad, patience=0.3)
        assert "secret" not in str(raised.value)
