"""The Dask engine: the same map on the workers of a cluster, a local one or an existing one.

Tasks travel through the scheduler as paths, with the secrets that open the sealed files behind
them in the run's scratch folder: so the workers must see the store's file system. A worker that
dies loses no work: Dask repeats it on another, once with a local cluster.
"""

import asyncio
import concurrent.futures
import functools
import importlib.util
import itertools
import logging
import re
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from pipelines.checking.engine import KILLED, Shared, late
from pipelines.checking.sealed import SealedFolder
from provenance.base import own_code
from provenance.base.errors import AssayError, Notice

Item = TypeVar("Item")
Result = TypeVar("Result")
ANSWER = 5.0  # seconds in which a scheduler must answer
CONNECT = 60.0  # seconds to connect to one that has answered, or to our own, on a busy machine
ALONE = 60.0  # seconds that a cluster may have no worker
EXTRA = "dask"
POLL = 1.0
_ADDRESS = re.compile(r"(tcp|tls|ws|wss|ucx)://[^\s/@]+:[0-9]{1,5}")
_TLS = ("tls://", "wss://")


def ensure_answers(address: str) -> None:
    """Refuse a scheduler that does not answer, before anything is read; warn of one without TLS.

    Raises:
        AssayError: ASSAY-C012 if this is not an address, E106 if no scheduler answers there or it
            has no worker that can do the work.
    """
    _refuse_misspelt(address)
    require_installed()
    for notice in warnings(address):
        sys.stderr.write(f"warning {notice.code}: {notice.message}\n")
    client = _client(address)
    try:
        _refuse_strangers(client, address, Path("/"))
    finally:
        client.close()


def require_installed() -> None:
    """Refuse (ASSAY-E103) where Dask is not installed: it is an extra."""
    if importlib.util.find_spec("distributed") is None:
        what = f"the engine dask needs the extra '{EXTRA}', which is not installed"
        fix = f"pip install 'assay[{EXTRA}]', or use --engine processes"
        raise AssayError("E103", what, where="--engine dask", fix=fix)


def warnings(address: str | None) -> tuple[Notice, ...]:
    """Return ASSAY-E111 for a scheduler without TLS; a local cluster has it."""
    if address is None or address.startswith(_TLS):
        return ()
    what = (
        "plain TCP: anyone who can reach the port of the scheduler or of a worker can run code as "
        "its workers' user and read what they read; traffic can be read and altered on the way"
    )
    return (Notice("ASSAY-E111", what, address),)


class Dask:
    """A map on Dask's workers."""

    def __init__(
        self, address: str | None, workers: int, timeout: float | None, scratch: Path
    ) -> None:
        """Connect when first used.

        Args:
            address: of a scheduler, e.g. tls://10.0.0.5:8786; None for a local cluster.
            workers: processes of a local cluster.
            timeout: seconds for one map; None to wait for ever.
            scratch: existing folder that all workers see at the same path.

        Raises:
            AssayError: ASSAY-E103 if Dask is not installed.
        """
        require_installed()
        self._address = address
        self._workers = workers
        self._timeout = timeout
        self._scratch = scratch
        self._numbers = itertools.count()
        self._cluster: Any = None
        self._client: Any = None

    def map(self, function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
        """Return function(item) for each item, in order.

        Raises:
            AssayError: ASSAY-E005 if workers die at the same task, E106 if the cluster is lost,
                K002 if the map takes too long.
        """
        from distributed import KilledWorker
        from distributed.client import FutureCancelledError, FuturesCancelledError
        from distributed.comm import CommClosedError

        work = self._scratch / f"dask-{next(self._numbers)}"
        work.mkdir()
        folder = SealedFolder(work, work.name)
        shared = Shared.of(folder, function)
        names = []
        for number, item in enumerate(items):
            names.append(f"{number}.pkl")
            folder.write(names[-1], item)
        try:
            return self._done(shared, names)
        except KilledWorker as error:
            what = "several workers died at the same task"
            raise AssayError("E005", what, fix=KILLED) from error
        except (CommClosedError, FutureCancelledError, FuturesCancelledError) as error:
            raise self._lost() from error

    @property
    def width(self) -> int:
        """How many items its workers process at once."""
        threads: dict[str, int] = self._connected().nthreads()
        return max(1, sum(threads.values()))

    def close(self) -> None:
        """Disconnect from the cluster, and end a local one."""
        for held in (self._client, self._cluster):
            if held is not None:
                held.close(timeout=ANSWER)
        self._client = self._cluster = None

    def _done(self, function: Shared, items: list[str]) -> list[Any]:
        client = self._connected()
        futures = client.map(functools.partial(_apply, function), items, pure=False)
        try:
            self._wait(client, futures)
            answers: list[Any] = client.gather(futures)
        finally:
            if self._client is client:  # a map that timed out has closed it
                client.cancel(futures, force=True)
        return answers

    def _wait(self, client: Any, futures: list[Any]) -> None:
        """Wait for all, in slices, so that an interrupt is noticed."""
        from distributed import wait

        begun = seen = time.monotonic()
        while True:
            try:
                with client.as_current():
                    wait(futures, timeout=POLL)
            except (TimeoutError, concurrent.futures.TimeoutError):
                now = time.monotonic()
                seen = now if client.scheduler_info(n_workers=1)["workers"] else seen
                if now - seen > ALONE:
                    raise self._lost() from None
                if self._timeout is not None and now - begun > self._timeout:
                    self.close()  # ends local workers; others finish their task
                    raise late(self._timeout) from None
            else:
                return

    def _connected(self) -> Any:
        if self._client is None:
            if self._address is None:
                from pipelines.checking import dask_cluster

                self._cluster = dask_cluster.made(self._workers, self._scratch)
            self._client = _client(self._address or self._cluster)
            _refuse_strangers(self._client, self._address or "the local cluster", self._scratch)
        return self._client

    def _lost(self) -> AssayError:
        where = self._address or "the local cluster"
        fix = "check the scheduler and its workers, or use --engine processes"
        return AssayError("E106", "the Dask cluster was lost during the run", where=where, fix=fix)


def _client(address: Any) -> Any:
    """Return a client of a local cluster, or of the scheduler at an address that answers."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    fix = "start it, or use --engine processes"
    if isinstance(address, str) and address.startswith(_TLS):
        fix = "start it, or check distributed.comm.tls in Dask's configuration"
    try:
        if isinstance(address, str):
            # a client that never connected leaves a thread behind that prints
            asyncio.run(asyncio.wait_for(_answer(address), ANSWER))
        from distributed import Client

        return Client(address, timeout=CONNECT, set_as_default=False)
    except Exception as error:  # some other server may answer anything
        what = f"no Dask scheduler answers within {ANSWER:g} s ({type(error).__name__})"
        raise AssayError("E106", what, where=str(address), fix=fix) from error


async def _answer(address: str) -> None:
    from distributed import Security
    from distributed.comm import connect

    # with the certificates of Dask's own configuration, as a client uses them
    told = Security().get_connection_args("client")
    comm = await connect(address, timeout=ANSWER, **told)
    try:
        await comm.write({"op": "identity", "reply": True})
        await comm.read()
    finally:
        comm.abort()


def _refuse_misspelt(address: str) -> None:
    if not _ADDRESS.fullmatch(address):
        fix = "write it as tls://host:8786"
        raise AssayError("C012", "not the address of a scheduler", where=address, fix=fix)


def _refuse_strangers(client: Any, address: str, folder: Path) -> None:
    """Refuse workers that run another version of Assay, or do not see the store."""
    try:
        facts = client.run(_facts, str(folder))
    except Exception as error:  # a worker without Assay may raise anything
        what = f"a worker cannot run Assay ({type(error).__name__})"
        fix = "install this version of Assay on every worker"
        raise AssayError("E106", what, where=address, fix=fix) from error
    if not facts:
        fix = "start some with `dask worker ADDRESS`"
        raise AssayError("E106", "the cluster has no workers", where=address, fix=fix)
    for worker, (code, sees) in facts.items():
        if code != own_code.facts():
            fix = "install this version of Assay there"
            raise AssayError(
                "E106", "a worker runs a different version of Assay", where=worker, fix=fix
            )
        if not sees:
            fix = "put the store on a file system that every worker mounts at the same path"
            what = f"a worker does not see {folder}"
            raise AssayError("E106", what, where=worker, fix=fix)


def _facts(folder: str) -> tuple[dict[str, Any], bool]:
    return own_code.facts(), Path(folder).is_dir()


def _apply(function: Shared, item: str) -> Any:
    return function(function.folder.read(item))
