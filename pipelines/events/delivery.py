"""Sends events to a file or a server in the background, and never fails a run.

A thread sends them in order; at its end the run waits for it, five seconds at most. A failure is a
warning that names the host or the file, never a URL's user, query or key.
"""

import contextlib
import errno
import fcntl
import json
import logging
import os
import queue
import re
import ssl
import stat
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any

from pipelines import config
from pipelines.config import LineageTarget
from provenance.base.errors import printable

CODE = "ASSAY-E105"
SECONDS = 5.0
ADDRESS = re.compile(r"(?i)https?:|[a-z][a-z0-9+.-]*://")
LATE = f"no answer within {SECONDS:g} s"


class Sink:
    """Takes events at once and sends them in order; `close` warns of those that failed."""

    def __init__(
        self, target: LineageTarget, what: str = "an OpenLineage event", code: str = CODE
    ) -> None:
        """Start the thread; it ends with the process at the latest.

        Args:
            target: where the events go.
            what: what the warning calls an event.
            code: the warning's code.
        """
        self._target, self._what, self._code = target, what, code
        self._events: queue.SimpleQueue[Callable[[], Mapping[str, Any]] | None] = (
            queue.SimpleQueue()
        )
        self._faults: list[str] = []
        self._thread = threading.Thread(target=self._work, name="openlineage", daemon=True)
        self._thread.start()

    def put(self, event: Callable[[], Mapping[str, Any]]) -> None:
        """Take an event, which the thread makes and sends; returns at once."""
        self._events.put(event)

    def close(self) -> bool:
        """Wait until all events are sent, five seconds at most, and warn on stderr of failures.

        Returns:
            Whether an interrupt cut the waiting short; the run's result is decided by then.
        """
        self._events.put(None)
        is_cut = False
        try:
            self._thread.join(SECONDS)
        except KeyboardInterrupt:
            is_cut = True
        if self._thread.is_alive() and not is_cut:
            self._faults.append(LATE)
        for fault in dict.fromkeys(self._faults):
            what = f"{_named(self._target.place)} did not accept {self._what}: {fault}"
            with contextlib.suppress(OSError, ValueError):  # stderr is closed
                sys.stderr.write(f"warning {self._code}: {what}\n")
        return is_cut

    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                _send(json.dumps(event(), allow_nan=False).encode(), self._target)
            except Exception as error:  # noqa: BLE001  no run fails for want of a listener
                self._faults.append(_why(error))


class _NotAcceptedError(Exception):
    """Says why an event was not accepted, in words that hold no secret."""


def _send(event: bytes, target: LineageTarget) -> None:
    if not ADDRESS.match(target.place):
        _append(event + b"\n", target.place)
    elif target.place.lower().startswith(("http:", "https:")):
        _post(event, target)
    else:
        raise _NotAcceptedError("neither a file nor an http or https address")


def _append(line: bytes, path: str) -> None:
    """Append a line whole or not at all, and sync it to disk."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _NotAcceptedError("not a regular file")
        fcntl.flock(handle, fcntl.LOCK_EX)  # concurrent runs may append to the same file
        size, taken = os.fstat(handle).st_size, 0
        try:
            taken = os.write(handle, line)
            os.fsync(handle)
        finally:
            if taken < len(line):
                os.ftruncate(handle, size)
        if taken < len(line):
            raise _NotAcceptedError(os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)


def _post(event: bytes, target: LineageTarget) -> None:
    """Post an event to one address only: a redirect is a refusal, and no body is read."""
    import httpx

    for name in ("httpx", "httpcore"):  # they log whole addresses
        logging.getLogger(name).setLevel(logging.WARNING)
    url, headers = httpx.URL(target.place), {"Content-Type": "application/json"}
    if target.key:
        url = url.copy_with(userinfo=b"")
        headers["Authorization"] = f"Bearer {target.key}"
    with (
        # only the proxy that Assay was given, and the certificates that the system trusts
        httpx.Client(
            trust_env=False,
            proxy=config.proxy(),
            verify=ssl.create_default_context(),
            timeout=SECONDS,
            headers={"User-Agent": "assay"},
        ) as client,
        client.stream("POST", url, content=event, headers=headers) as answer,
    ):
        if not answer.is_success:
            raise _NotAcceptedError(f"status {answer.status_code}")


def _why(error: BaseException) -> str:
    """Return why in our own words: an exception's text may quote the address or the key."""
    import httpx

    if isinstance(error, _NotAcceptedError):
        return str(error)
    if isinstance(error, httpx.TimeoutException):
        return LATE
    while cause := error.__cause__ or error.__context__:
        error = cause
    if isinstance(error, OSError) and error.errno and type(error).__module__ == "builtins":
        return os.strerror(error.errno)
    return type(error).__name__  # such as gaierror, SSLCertVerificationError, InvalidURL


def _named(place: str) -> str:
    """Return the name of a target: the path of a file, the scheme and host of an address."""
    if not ADDRESS.match(place):
        return printable(place)
    scheme, _, rest = place.partition("://")
    host = re.split(r"[/?#\\]", rest)[0]
    if not host or "@" in rest.removeprefix(host):
        return "the configured address"  # no way to tell where its secrets end
    return printable(f"{scheme}://{host.rpartition('@')[2]}")
