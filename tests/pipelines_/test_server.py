"""The Prefect server of a flow: found or started, reached by us alone, and always gone again."""

import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from pipelines import cli
from pipelines.orchestration import server
from provenance.base.errors import AssayError

# in a process of its own: another Prefect in this one would have settings of its own
UP = """
import json, os, sys, urllib.error, urllib.request
before = dict(os.environ)
from pipelines.orchestration.server import connected
with connected() as address:
    url = os.environ["PREFECT_API_URL"]
    assert address == "" and url.startswith("http://127.0.0.1:")
    assert os.environ["DO_NOT_TRACK"] == os.environ["PYTHONSAFEPATH"] == "1"
    assert os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    try:
        urllib.request.urlopen(url + "/admin/version")
    except urllib.error.HTTPError as error:
        print("up", error.code, flush=True)
    sys.stdin.readline()
assert dict(os.environ) == before
"""


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """A machine on which nobody has used Prefect or Assay before."""
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.delenv("XDG_CACHE_HOME")
    for name in ("home", "tmp", "work"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def up():
    return subprocess.Popen(
        [sys.executable, "-P", "-c", UP], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_two_servers_at_once_on_a_fresh_machine_and_nothing_left(fresh):
    """Both migrate one database; each is reached by its own process alone and ends with it.

    One of the processes comes to its end, the other is killed.
    """
    both = [up(), up()]
    answers = [one.stdout.readline() for one in both]
    children = [child for one in both for child in psutil.Process(one.pid).children()]
    for child in children:
        listening = [c for c in child.net_connections() if c.status == psutil.CONN_LISTEN]
        assert {c.laddr.ip for c in listening} == {"127.0.0.1"}
    assert answers == ["up 401\n"] * 2
    assert len(children) == 2
    assert both[0].communicate("\n", timeout=120)[1] == ""
    assert not children[0].is_running()
    both[1].send_signal(signal.SIGKILL)
    both[1].communicate()
    children[1].wait(10)
    assert list((fresh / "tmp").iterdir()) == []
    assert not (fresh / "home" / ".prefect").exists()
    folder = fresh / "home" / ".cache" / "assay"
    assert {path.stat().st_mode & 0o777 for path in (folder, folder / "prefect")} == {0o700}
    assert (folder / "prefect" / "prefect.db").stat().st_mode & 0o077 == 0


def test_a_server_that_cannot_start_is_e101_and_names_its_log(fresh, monkeypatch):
    folder = fresh / "home" / ".cache" / "assay" / "prefect"
    folder.mkdir(parents=True)
    (folder / "prefect.db").write_bytes(b"not a database" * 100)
    script = "from pipelines.orchestration.server import connected\nwith connected(): pass"
    done = subprocess.run(
        [sys.executable, "-P", "-c", script], capture_output=True, text=True, check=False
    )
    assert "ASSAY-E101" in done.stderr
    assert str(folder / "server.log") in done.stderr
    assert "not a database" in (folder / "server.log").read_text()
    monkeypatch.setattr(server.config, "user_folder", lambda *_: None)
    with pytest.raises(AssayError, match="E003"), server.connected():
        pass
    monkeypatch.setattr(server.config, "user_folder", lambda *_: Path(os.devnull))
    with pytest.raises(AssayError, match="E003"), server.connected():
        pass


@pytest.mark.usefixtures("fresh")
def test_nobody_starts_a_server_or_imports_prefect_unasked():
    """Without a server, and with `--direct` also with one."""
    script = """
import os, sys
from pipelines import cli
codes = [cli.main(sys.argv[1:])]
os.environ["PREFECT_API_URL"] = "http://127.0.0.1:9/api"
codes.append(cli.main([*sys.argv[1:], "--direct"]))
assert set(codes) <= {0, 1}, codes
assert not [name for name in sys.modules if name.partition(".")[0] in ("prefect", "uvicorn")]
"""
    Path("a.csv").write_text("size\n" + "1.5\n" * 40)
    Path("c.yaml").write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nname: a\n"
        "schema: [{name: a, properties: [{name: size, logicalType: number}]}]\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script, "run", "c.yaml", "--source", "a.csv", "--store", "s"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not Path("../home/.cache/assay/prefect").exists()


def test_direct_and_flow_at_once_is_a_usage_error(capsys):
    assert cli.main(["run", "c.yaml", "--direct", "--flow"]) == 2
    assert "ASSAY-C012" in capsys.readouterr().err


@pytest.mark.usefixtures("fresh")
def test_a_server_configured_in_the_profile_is_used():
    assert server.configured_url() is None
    Path("../home/.prefect").mkdir()
    Path("../home/.prefect/profiles.toml").write_text(
        'active = "x"\n[profiles.x]\nPREFECT_API_URL = "http://127.0.0.1:9/api"\n'
    )
    assert server.configured_url() == "http://127.0.0.1:9/api"
    with pytest.raises(AssayError, match=r"127\.0\.0\.1:9/api") as raised, server.connected():
        pass
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
    assert server.configured_url() == ("http://b/api" if chosen else None)


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
            server.check_answers(url)
        else:
            with pytest.raises(AssayError, match="E101"):
                server.check_answers(url)


def test_a_server_that_never_answers_is_given_up_and_its_password_not_shown():
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/api"
        with pytest.raises(AssayError, match="E101"):
            server.check_answers(url, patience=0.3)
    for bad in ("http://me:secret@127.0.0.1:9/api", "ftp://me:secret@x/api", "http://[x/api"):
        with pytest.raises(AssayError, match="E101") as raised:
            server.check_answers(bad, patience=0.3)
        assert "secret" not in str(raised.value)
