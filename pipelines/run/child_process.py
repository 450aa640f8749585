"""A child process for one stage, started early so that its imports overlap with other work.

The parent writes one line of JSON to the child's stdin and reads one line back; before it, the
child may send the line BEGUN. A child whose parent dies reads the end of its stdin and exits; a
child that dies is ASSAY-E005.
"""

import contextlib
import importlib
import inspect
import json
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO, Any

from pipelines import config, quick_imports, threads
from provenance.base.atomic import with_code
from provenance.base.errors import AssayError, frames

# what libraries say when they cannot get memory, or a thread for want of it
STARVED = ("bad_alloc", "Failed to launch worker thread")
BEGUN = {"begun": True}  # sent when what may be refused at once was not
PIECE = 1 << 16  # bytes of an answer that are read at once


class Child:
    """One stage in a process of its own: `module:function`, called with JSON arguments."""

    def __init__(
        self,
        target: str,
        *,
        warm: tuple[str, ...] = (),
        memory: int | None = None,
        is_late: bool = False,
    ) -> None:
        """Start the process.

        Args:
            target: `module:function`. A function with the argument `begun` gets a function to call
                once it has begun, for whoever waits in `begun`.
            warm: modules to import at once.
            memory: most bytes of address space; None for no limit.
            is_late: whether to leave the start to `start`.
        """
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed in stop
        self._target, self._words = target, [target, str(memory or 0)]
        self._process: subprocess.Popen[bytes] | None = None
        self._reply: dict[str, Any] | None = None
        self._unread = b""
        self._waited = 0.0  # seconds, for the reply
        if not is_late:
            self.start(*warm)

    def start(self, *warm: str) -> None:
        """Start the process of a child that was made with `is_late`; it imports `warm` at once."""
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "pipelines.run.child_process", *self._words, *warm],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=config.without_key(os.environ),
        )

    def call(self, *, timeout: float | None = None, **arguments: Any) -> Any:
        """Run the stage: `ask`, then `answer`."""
        self.ask(**arguments)
        return self.answer(timeout)

    def ask(self, **arguments: Any) -> None:
        """Start the stage; if the child is dead, `answer` says so."""
        if self._process and self._process.stdin:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(json.dumps(arguments).encode() + b"\n")
                self._process.stdin.flush()

    def begun(self, timeout: float | None = None) -> None:
        """Wait until the stage has begun, or has ended without saying so.

        Raises:
            AssayError: as `answer`; the seconds that pass here count for its `timeout`, too.
        """
        reply = self._received(timeout)
        if reply != BEGUN:
            self._reply = reply
            _raise_if_refused(reply, self._name)

    @property
    def has_answered(self) -> bool:
        """Return whether the stage's answer has been received."""
        return self._reply is not None

    def answer(self, timeout: float | None = None) -> Any:
        """Wait for the stage; return its JSON value or raise the AssayError that it raised.

        Raises:
            AssayError: ASSAY-K002 after `timeout` seconds, ASSAY-E005 if the child died.
        """
        while self._reply is None:
            reply = self._received(timeout)
            self._reply = None if reply == BEGUN else reply
        _raise_if_refused(self._reply, self._name)
        return self._reply["value"]

    def _received(self, timeout: float | None) -> dict[str, Any]:
        """Return the next line of the child."""
        start = time.monotonic()
        try:
            while b"\n" not in self._unread:
                if not (piece := self._piece(timeout, start)):
                    raise self._died()
                self._unread += piece
            line, _, self._unread = self._unread.partition(b"\n")
            reply: dict[str, Any] = json.loads(line)
        except (ValueError, OSError) as error:
            raise self._died() from error
        self._waited += time.monotonic() - start
        return reply

    def _piece(self, timeout: float | None, start: float) -> bytes:
        """Return what the child has written, at least a byte unless it has ended."""
        answers = self._process.stdout if self._process else None
        if answers is None:
            raise self._died()
        left = None
        if timeout is not None:
            left = max(0.0, timeout - self._waited - (time.monotonic() - start))
        if not select.select([answers], [], [], left)[0]:
            raise self._late(timeout)
        return os.read(answers.fileno(), PIECE)

    def stop(self) -> None:
        """End the process if it still runs; safe to call twice."""
        self._log.close()
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError):  # a line that a dead child never read
                if stream:
                    stream.close()

    @property
    def died_of(self) -> str:
        """Return the name of the signal that ended the process, empty for none."""
        code = self._process.poll() if self._process else None
        return signal.Signals(-code).name if code is not None and code < 0 else ""

    @property
    def _name(self) -> str:
        return self._target.rpartition(":")[2]

    def _late(self, timeout: float | None) -> AssayError:
        self.stop()
        what = f"the stage {self._name} took longer than {timeout:.0f} s"
        return AssayError("K002", what, fix="raise assay.limits, or split the source")

    def _died(self) -> AssayError:
        if self._process is None or self._log.closed:
            return AssayError("E005", f"the stage {self._name} was stopped")
        # its log is not shown: a library's last message may quote a cell
        what = f"the stage {self._name} ended with code {self._process.wait()}"
        fix = "check free memory; the process was probably killed for using too much"
        return AssayError("E005", what, fix=fix)


def _raise_if_refused(reply: dict[str, Any], name: str) -> None:
    if "error" in reply:
        raised = AssayError(**reply["error"])
        raised.add_note(f"in the stage {name}, which ran in a child:\n{reply['trace']}")
        raise raised


def serve(target: str, memory: int, warm: list[str]) -> None:
    """Be the child: import, wait for one line, run, answer."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints goes to the log, not into the answer
    quick_imports.postpone()
    if memory:
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    with quick_imports.collecting_nothing():
        for module in warm:
            importlib.import_module(module)
    module, _, name = target.partition(":")
    line = sys.stdin.readline()
    if not line:
        return
    threads.exit_after(sys.stdin.read)  # the parent holds our stdin open for as long as it lives

    def send(reply: dict[str, Any]) -> None:
        print(json.dumps(reply), file=answer, flush=True)

    try:
        function, given = getattr(importlib.import_module(module), name), json.loads(line)
        if "begun" in inspect.signature(function).parameters:
            given["begun"] = lambda: send(BEGUN)
        reply = {"value": function(**given)}
    except Exception as raised:  # noqa: BLE001  the parent decides, and shows no cell
        error = _out_of_memory(raised) or with_code(raised)
        parts = {"what": error.what, "where": error.where, "fix": error.fix}
        code = error.code.removeprefix("ASSAY-")
        reply = {"error": {"code": code, **parts}, "trace": frames(raised)}
    send(reply)


def _out_of_memory(raised: Exception) -> AssayError | None:
    """Return the refusal if the stage ran out of memory, whichever library noticed it first."""
    if not isinstance(raised, MemoryError) and not any(word in str(raised) for word in STARVED):
        return None
    fix = "raise assay.limits.max_memory_bytes"
    return AssayError("E005", "the stage ran out of memory", fix=fix)


if __name__ == "__main__":
    serve(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
    os._exit(0)  # it has answered: taking the interpreter apart would only cost time
