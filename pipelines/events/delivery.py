"""Hands events over, to a file or a server, beside the run and never in its way.

A thread of its own takes them in order; the run waits for it at its end, five seconds at most.
What goes wrong is a warning that names the host or the file, never a URL's user, query or key.
"""

import base64
import contextlib
import errno
import fcntl
import json
import os
import queue
import re
import stat
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from pipelines.config import LineageTarget
from provenance.base.errors import printable

CODE = "ASSAY-E105"
SECONDS = 5.0
ADDRESS = re.compile(r"(?i)https?:|[a-z][a-z0-9+.-]*://")
LATE = f"no answer within {SECONDS:g} s"


class Sink:
    """Takes events at once and hands them over in order; `close` tells what did not go through."""

    def __init__(
        self, target: LineageTarget, what: str = "an OpenLineage event", code: str = CODE
    ) -> None:
        """Start the thread; it ends with the process at the latest.

        Args:
            target: where to.
            what: an event is called in the warning that it was not taken.
            code: of that warning.
        """
        self._target, self._what, self._code = target, what, code
        self._events: queue.SimpleQueue[Callable[[], Mapping[str, Any]] | None] = (
            queue.SimpleQueue()
        )
        self._faults: list[str] = []
        self._thread = threading.Thread(target=self._work, name="openlineage", daemon=True)
        self._thread.start()

    def put(self, event: Callable[[], Mapping[str, Any]]) -> None:
        """Take an event, made and handed over by the thread; returns at once."""
        self._events.put(event)

    def close(self) -> bool:
        """Wait until all is handed over, five seconds at most, and warn on stderr if it was not.

        Returns:
            Whether an interrupt cut the waiting short; what the run is worth is decided by then.
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
            what = f"{_named(self._target.place)} did not take {self._what}: {fault}"
            with contextlib.suppress(OSError, ValueError):  # nobody reads stderr any more
                sys.stderr.write(f"warning {self._code}: {what}\n")
        return is_cut

    def _work(self) -> None:
        while (event := self._events.get()) is not None:
            try:
                _hand_over(json.dumps(event(), allow_nan=False).encode(), self._target)
            except Exception as error:  # noqa: BLE001  no run fails for want of a listener
                self._faults.append(_why(error))


class _NotTakenError(Exception):
    """Says why an event was not taken, in words that hold no secret."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for the refusal that it is: events and keys go to one address only."""

    def redirect_request(self, *_: Any) -> None:
        """Return None: there is no other address to try."""


def _hand_over(event: bytes, target: LineageTarget) -> None:
    if not ADDRESS.match(target.place):
        _append(event + b"\n", target.place)
    elif target.place.lower().startswith(("http:", "https:")):
        _post(event, target)
    else:
        raise _NotTakenError("it is neither a file nor an http or https address")


def _append(line: bytes, path: str) -> None:
    """Append a line whole or not at all, and see it on the disk."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC
    handle = os.open(path, flags, 0o666)
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise _NotTakenError("it is not a regular file")
        fcntl.flock(handle, fcntl.LOCK_EX)  # runs side by side may tell the same file
        size, taken = os.fstat(handle).st_size, 0
        try:
            taken = os.write(handle, line)
            os.fsync(handle)
        finally:
            if taken < len(line):
                os.ftruncate(handle, size)
        if taken < len(line):
            raise _NotTakenError(os.strerror(errno.ENOSPC))
    finally:
        os.close(handle)


def _post(event: bytes, target: LineageTarget) -> None:
    parts = urllib.parse.urlsplit(target.place)
    user, is_named, host = parts.netloc.rpartition("@")
    headers = {"Content-Type": "application/json", "User-Agent": "assay"}
    if target.key:
        headers["Authorization"] = f"Bearer {target.key}"
    elif is_named:
        pair = base64.b64encode(urllib.parse.unquote(user).encode()).decode()
        headers["Authorization"] = f"Basic {pair}"
    url = parts._replace(netloc=host, fragment="").geturl()
    request = urllib.request.Request(url, event, headers)  # noqa: S310  http and https only
    try:
        with urllib.request.build_opener(_NoRedirect).open(request, timeout=SECONDS):
            pass
    except urllib.error.HTTPError as error:
        error.close()
        raise _NotTakenError(f"it answered {error.code}") from None


def _why(error: BaseException) -> str:
    """Return why in words of our own: an exception's text may quote the address or the key."""
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        error = error.reason
    if isinstance(error, _NotTakenError):
        return str(error)
    if isinstance(error, TimeoutError):
        return LATE
    if isinstance(error, OSError) and error.errno and type(error).__module__ == "builtins":
        return os.strerror(error.errno)
    return type(error).__name__  # such as gaierror, SSLCertVerificationError, InvalidURL


def _named(place: str) -> str:
    """Return what to call a target: the path of a file, the scheme and host of an address."""
    if not ADDRESS.match(place):
        return printable(place)
    scheme, _, rest = place.partition("://")
    host = re.split(r"[/?#\\]", rest)[0]
    if not host or "@" in rest.removeprefix(host):
        return "the address that is set"  # where its secrets end cannot be told
    return printable(f"{scheme}://{host.rpartition('@')[2]}")
