"""The Dask engine: the same answers in the same order, and a coded refusal where there is none."""

import json
import operator
import os
import signal
import socket
import time

import pytest
import tables

from checks.duplicates import Duplicates
from checks.kit import registry
from checks.leakage import Leakage
from checks.values import Values
from pipelines import cli, dask_engine, engine
from pipelines.dask_engine import Dask
from pipelines.examine import examine
from provenance.errors import AssayError
from provenance.shards import write_shard


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A cluster that was there before, with two worker processes."""
    made = dask_engine._cluster(2, tmp_path_factory.mktemp("dask"))
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


def test_findings_are_those_of_the_serial_engine(dask, tmp_path, monkeypatch):
    kinds = {kind.name: kind for kind in (Duplicates, Leakage, Values)}
    monkeypatch.setattr(registry, "load", lambda: kinds)
    rows = tables.loans(600)
    refs = [write_shard(tmp_path, shard) for shard in tables.cut(rows, 150)]
    context = tables.context_for(rows, None, **tables.ROLES)
    found = []
    for name, chosen in (("serial", engine.make("serial", 600)), ("dask", dask)):
        (tmp_path / name).mkdir()
        found.append(examine(context, refs, chosen, tmp_path / name))
    assert found[0].found.equals(found[1].found)
    assert len(found[0].statuses) == len(kinds)
    assert not found[1].faults


def test_a_cluster_without_workers_is_refused(tmp_path):
    empty = dask_engine._cluster(0, tmp_path)
    try:
        with pytest.raises(AssayError, match="no workers") as raised:
            dask_engine.ensure_answers(empty.scheduler_address)
    finally:
        empty.close()
    assert raised.value.code == "ASSAY-E106"


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
