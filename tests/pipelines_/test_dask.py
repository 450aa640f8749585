"""The Dask engine: the same answers in the same order, and a coded refusal where there is none."""

import asyncio
import contextlib
import json
import operator
import os
import pickle
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import time
from pathlib import Path

import dask as dask_itself
import psutil
import pytest
from distributed import LocalCluster, Security
from distributed.comm import connect
from pipelines_.test_engine import CONTRACT
from pipelines_.test_sealed import Trap

from pipelines import cli
from pipelines.checking import dask_engine, engine
from pipelines.checking.dask_engine import Dask
from provenance.base.errors import AssayError


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """Certificates in files that Dask's own configuration names, as an operator has them."""
    made, folder = Security.temporary(), tmp_path_factory.mktemp("tls")
    (folder / "ca.pem").write_text(made.tls_ca_file)
    (folder / "key.pem").write_text(made.tls_client_key)
    with dask_itself.config.set(tls_settings(str(folder / "ca.pem"), str(folder / "key.pem"))):
        yield


def tls_settings(certificate, key):
    named = {"ca-file": certificate}
    for role in ("client", "scheduler", "worker"):
        named |= {f"{role}.cert": certificate, f"{role}.key": key}
    return {f"distributed.comm.tls.{name}": value for name, value in named.items()}


def existing(workers, folder, protocol="tls://"):
    """Return a cluster that was there before, with Dask's own defaults but for one."""
    with dask_itself.config.set({"distributed.scheduler.allowed-failures": 1}):
        return LocalCluster(
            n_workers=workers, threads_per_worker=1, protocol=protocol, host="127.0.0.1",
            dashboard_address="127.0.0.1:0", local_directory=str(folder), silence_logs=50,
        )  # fmt: skip


@pytest.fixture(scope="module")
def cluster(certificates, tmp_path_factory):  # noqa: ARG001  in force while it lives
    """A cluster that was there before, with two worker processes, reached by tls://."""
    made = existing(2, tmp_path_factory.mktemp("dask"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """The engine with a cluster of its own, which has started."""
    made = Dask(None, 1, 60.0, tmp_path_factory.mktemp("own"))
    assert made.map(operator.neg, [1]) == [-1]
    yield made
    made.close()


@pytest.fixture
def dask(cluster, tmp_path):
    made = Dask(cluster.scheduler_address, 2, 60.0, tmp_path)
    yield made
    made.close()


def killed_once(task):
    """End the worker that gets this first; whoever gets it next does the work."""
    path, number = task
    if number == 3 and not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number * 10


def deadly(number):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def slow(_):
    time.sleep(30)


def test_it_keeps_order_and_raises_what_the_function_raises(dask):
    assert dask.map(operator.neg, range(20)) == [-n for n in range(20)]
    assert dask.map(operator.neg, []) == []
    with pytest.raises(ZeroDivisionError):
        dask.map((1).__truediv__, [0])


def test_a_worker_that_is_killed_changes_no_answer(dask, tmp_path):
    tasks = [(tmp_path / "killed", n) for n in range(8)]
    assert dask.map(killed_once, tasks) == [n * 10 for n in range(8)]
    assert (tmp_path / "killed").exists()


def test_work_that_kills_every_worker_is_given_up(dask):
    with pytest.raises(AssayError) as raised:
        dask.map(deadly, range(3))
    assert raised.value.code == "ASSAY-E005"
    assert dask.map(operator.neg, [1]) == [-1]  # the cluster is of use again


def test_work_that_is_late_is_given_up(cluster, tmp_path):
    late = Dask(cluster.scheduler_address, 2, 1.0, tmp_path)
    try:
        with pytest.raises(AssayError) as raised:
            late.map(slow, [0])
    finally:
        late.close()
    assert raised.value.code == "ASSAY-K002"


@pytest.mark.usefixtures("certificates")
def test_a_cluster_without_workers_is_refused(tmp_path, capsys):
    empty = existing(0, tmp_path)
    try:
        with pytest.raises(AssayError, match="no workers") as raised:
            dask_engine.ensure_answers(empty.scheduler_address)
    finally:
        empty.close()
    assert raised.value.code == "ASSAY-E106"
    assert "E111" not in capsys.readouterr().err


def test_a_worker_that_does_not_see_the_store_is_named(dask, monkeypatch, tmp_path):
    monkeypatch.setattr(dask, "_scratch", tmp_path / "elsewhere")
    with pytest.raises(AssayError, match="does not see"):
        dask._connected()


@pytest.mark.parametrize("how", ["closed", "silent", "another language"])
def test_an_address_where_no_scheduler_answers_is_told_in_time(how, monkeypatch):
    monkeypatch.setattr(dask_engine, "ANSWER", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        if how == "closed":
            server.close()
        held = []
        if how == "another language":
            import threading

            def speak():
                held.append(server.accept()[0])
                held[0].sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4)

            threading.Thread(target=speak, daemon=True).start()
        with pytest.raises(AssayError) as raised:
            dask_engine.ensure_answers(address)
        for each in held:
            each.close()
    assert raised.value.code == "ASSAY-E106"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--dask-address", "10.0.0.5"], "ASSAY-C012"),
        (["--dask-address", "tcp://10.0.0.5:8786", "--engine", "serial"], "ASSAY-C012"),
    ],
)
def test_a_useless_address_is_a_usage_error(words, code, tmp_path, capsys):
    (tmp_path / "x.csv").write_text("a\n1\n")
    (tmp_path / "c.yaml").write_text(
        "apiVersion: v3.1.0\nkind: DataContract\nservers: [{server: l, type: local, path: x.csv}]\n"
        "schema: [{name: t, properties: [{name: a, logicalType: integer}]}]\n"
    )
    store = ["--store", str(tmp_path / "store"), "--json"]
    assert cli.main(["run", str(tmp_path / "c.yaml"), *store, *words]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == code


@pytest.mark.parametrize("words", [["--engine", "dask"], ["--dask-address", "tls://10.0.0.5:1"]])
def test_without_dask_its_extra_is_named_before_anything_is_read(
    words, tmp_path, capsys, monkeypatch
):
    monkeypatch.setitem(sys.modules, "distributed", None)  # as where it is not installed
    store = ["--store", str(tmp_path / "store"), "--json"]
    assert cli.main(["run", str(tmp_path / "none.yaml"), *store, *words]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "ASSAY-E103"
    assert "pip install 'assay[dask]'" in error["fix"]
    with pytest.raises(AssayError, match="E103"):
        engine.make("dask", 1)


def processes_of(own):
    """Return this process and those of its cluster."""
    nannies = own._cluster.workers.values()
    return [psutil.Process(), *(psutil.Process(nanny.pid) for nanny in nannies)]


def listening():
    """Return the addresses that this process and its children listen at."""
    me = psutil.Process()
    return {
        (found.laddr.ip, found.laddr.port)
        for process in (me, *me.children(recursive=True))
        for found in process.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    }


@pytest.fixture(scope="module")
def places(own):
    """Where the cluster of our own listens: all that is there since it was started."""
    scheduler = own._cluster.scheduler_address
    nannies = own._cluster.workers.values()
    told = [scheduler, *(one.worker_address for one in nannies), *(one.address for one in nannies)]
    return [(host, int(port)) for host, port in (one.split("://")[1].split(":") for one in told)]


def asked(place, protocol, security):
    """Return what is answered to the first thing that any Dask client asks."""

    async def ask():
        told = security.get_connection_args("client") if security else {}
        comm = await connect(f"{protocol}://{place[0]}:{place[1]}", timeout=2.0, **told)
        try:
            await comm.write({"op": "identity", "reply": True})
            return await comm.read()
        finally:
            comm.abort()

    return asyncio.run(asyncio.wait_for(ask(), 10.0))


def answer_to(place, content, context=None):
    """Return what a server sends back to some bytes, over TLS if there is a context."""
    got = b""
    with contextlib.suppress(OSError), socket.create_connection(place, timeout=10) as plain:
        wrapped = context.wrap_socket(plain) if context else plain
        with wrapped:
            wrapped.sendall(content)
            while more := wrapped.recv(4096):
                got += more
    return got


def test_our_own_cluster_answers_those_with_its_certificate_alone(own, places):
    assert len(places) == 3  # the scheduler, a worker, its nanny
    for place in places:
        assert "type" in asked(place, "tls", own._cluster.security)
        for protocol, security in (("tcp", None), ("tls", Security.temporary())):
            with pytest.raises(OSError):
                asked(place, protocol, security)
        # one who does not care whom he talks to, without a certificate
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname, blind.verify_mode = False, ssl.CERT_NONE
        assert answer_to(place, b"GET / HTTP/1.1\r\n\r\n", blind) == b""
        # in plain there is no more than TLS's own refusal
        plain = answer_to(place, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP" not in plain
        assert plain == b"" or (plain[0] == 21 and len(plain) <= 7)


@pytest.mark.usefixtures("own")
def test_nothing_of_our_own_cluster_listens_in_plain(places, tmp_path):
    """A new process looks at its own, since these tests have other clusters."""
    code = (
        "import operator, pathlib, psutil, sys\n"
        "from pipelines.checking.dask_engine import Dask\n"
        "if __name__ == '__main__':\n"
        "    one = Dask(None, 2, 60.0, pathlib.Path(sys.argv[1]))\n"
        "    one.map(operator.neg, range(4))\n"
        "    me = psutil.Process()\n"
        "    every = [me, *me.children(recursive=True)]\n"
        "    ports = {c.laddr.port for p in every for c in p.net_connections('all')\n"
        "             if c.status == psutil.CONN_LISTEN}\n"
        "    own = one._cluster.workers.values()\n"
        "    told = [one._cluster.scheduler_address, *(n.address for n in own),\n"
        "            *(n.worker_address for n in own)]\n"
        "    assert all(t.startswith('tls://127.0.0.1:') for t in told), told\n"
        "    print(ports == {int(t.rpartition(':')[2]) for t in told}, len(ports))\n"
        "    one.close()\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    words = [sys.executable, "-P", "-W", "error", script, tmp_path]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "True 5\n", done.stderr[-2000:]
    assert set(places) <= listening()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl here")
def test_another_user_of_the_machine_gets_no_word_through(places):
    user = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    for host, port in places:
        words = ["openssl", "s_client", "-quiet", "-connect", f"{host}:{port}"]
        done = subprocess.run(
            [*user, *words], input=b"x" * 64, capture_output=True, check=False, timeout=60
        )
        assert done.stdout == b""
        assert b"alert" in done.stderr


def test_the_clusters_key_is_in_no_command_line_environment_or_file_of_others(own):
    key = own._cluster.security.tls_worker_key
    line = key.splitlines()[5].encode()
    assert len(line) == 64
    for process in processes_of(own):
        for name in ("cmdline", "environ"):
            assert line not in Path(f"/proc/{process.pid}/{name}").read_bytes()
    for path in own._scratch.rglob("*"):
        assert not path.is_file() or line not in path.read_bytes()


def test_the_key_passes_by_a_folder_that_nobody_else_may_enter(monkeypatch):
    """OpenSSL reads a key from a file: it is there for a moment."""
    load, seen = ssl.SSLContext.load_cert_chain, []

    def looked(self, cert, key):
        seen.append(stat.S_IMODE(Path(key).parent.stat().st_mode))
        seen.append(Path(key).parent)
        return load(self, cert, key)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", looked)
    Security.temporary().get_connection_args("client")
    assert seen[0] == 0o700
    assert not seen[1].exists()


def test_workers_of_our_own_put_no_results_on_disk(own):
    def facts(dask_worker):
        manager = dask_worker.memory_manager
        return type(manager.data).__name__, manager.memory_spill_fraction

    assert set(own._client.run(facts).values()) == {("dict", False)}


@pytest.mark.parametrize("which", ["function.pkl", "0.pkl"])
def test_a_file_that_was_altered_on_the_way_to_workers_is_refused_unread(
    own, tmp_path, monkeypatch, which
):
    done, trapped = own._done, tmp_path / "trapped"

    def altered(function, items):
        (function.folder.path / which).write_bytes(pickle.dumps(Trap(trapped)))
        return done(function, items)

    monkeypatch.setattr(own, "_done", altered)
    with pytest.raises(AssayError) as raised:
        own.map(operator.neg, [1])
    assert raised.value.code == "ASSAY-E110"
    assert not trapped.exists()


def test_plain_tcp_is_warned_of_on_stderr_and_in_the_run(tmp_path, capsys):
    plain = existing(1, tmp_path, "tcp://")
    try:
        (tmp_path / "c.yaml").write_text(CONTRACT)
        rows = [f"L-{n},{3000 + n % 50},{'yes' if n % 3 else 'no'}" for n in range(60)]
        (tmp_path / "a.csv").write_text("\n".join(["id,income,label", *rows]) + "\n")
        words = ["run", tmp_path / "c.yaml", "--source", tmp_path / "a.csv", "--direct", "--json"]
        words += ["--store", tmp_path / "store", "--dask-address", plain.scheduler_address]
        assert cli.main(list(map(str, words))) == 0
    finally:
        plain.close()
    told = capsys.readouterr()
    [warning] = [one for one in json.loads(told.out)["warnings"] if one["code"] == "ASSAY-E111"]
    assert "run code" in warning["message"]
    assert warning["where"] == plain.scheduler_address
    assert told.err.count(f"warning ASSAY-E111: {warning['message']}\n") == 1


@pytest.mark.parametrize(
    ("address", "is_plain"),
    [("tcp://h:1", True), ("ws://h:1", True), ("ucx://h:1", True), ("tls://h:1", False),
     ("wss://h:1", False), (None, False)],
)  # fmt: skip
def test_every_protocol_without_tls_is_warned_of(address, is_plain):
    assert [one.code for one in dask_engine.warnings(address)] == ["ASSAY-E111"] * is_plain


def test_a_scheduler_with_tls_is_refused_without_certificates(cluster):
    with (
        dask_itself.config.set(tls_settings(None, None)),
        pytest.raises(AssayError, match="E106") as raised,
    ):
        dask_engine.ensure_answers(cluster.scheduler_address)
    assert "distributed.comm.tls" in raised.value.fix
