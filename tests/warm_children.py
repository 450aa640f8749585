"""The children of runs that a test makes in its own process, forked from one warm process.

A run starts one child that reads and one that imports Great Expectations, which takes most of a
small run's time. `Nursery` starts one process that has imported what both need, and forks it for
each child. What a child is given is what a new process would get: the command, three descriptors,
the environment and the working folder. The fixture `forked_children` does so for all tests but
those that ask for `new_children`.
"""

import array
import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MOST = 1 << 20  # bytes of one order


class Nursery:
    """Has `Popen` and `PIPE` of `subprocess`, as `child_process` uses them."""

    PIPE = subprocess.PIPE

    def __init__(self):
        self._lock = threading.Lock()
        self._process = None  # started when it is first needed

    def _start(self):
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", __file__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def close(self):
        """End the warm process."""
        if self._process is not None:
            self._ours.close()
            self._process.wait()

    def ask(self, order, descriptors=()):
        """Send one order; return its answer."""
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))]
        with self._lock:
            if self._process is None:
                self._start()
            self._ours.sendmsg([json.dumps(order).encode()], passed if descriptors else [])
            return json.loads(self._ours.recv(MOST))

    def Popen(self, command, *, stdin, stdout, stderr, env):  # noqa: N802  the name it stands for
        """Fork the child of a run."""
        assert (stdin, stdout) == (self.PIPE, self.PIPE)
        return _Child(self, command, stderr, dict(env))


class _Child:
    """A forked child with what `Child` uses of `subprocess.Popen`."""

    def __init__(self, nursery, command, log, env):
        self._nursery, self.returncode = nursery, None
        ask_out, ask_in = os.pipe()
        tell_out, tell_in = os.pipe()
        order = {"words": command[4:], "env": env, "cwd": str(Path.cwd())}
        try:
            self.pid = nursery.ask(order, [ask_out, tell_in, log.fileno()])
        finally:
            os.close(ask_out)
            os.close(tell_in)
        self.stdin, self.stdout = os.fdopen(ask_in, "wb"), os.fdopen(tell_out, "rb")

    def poll(self):
        return self._ended(wait=False)

    def wait(self):
        return self._ended(wait=True)

    def kill(self):
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    def _ended(self, *, wait):
        while self.returncode is None:
            self.returncode = self._nursery.ask({"pid": self.pid})
            if not wait:
                break
            if self.returncode is None:
                threading.Event().wait(0.005)
        return self.returncode


def main():
    """Be the warm process."""
    orders = socket.socket(fileno=int(sys.argv[1]))
    sys.path.insert(0, str(ROOT))
    from pipelines.run import background, child_process

    for name in (*background.RULES, "provenance.readers.ingest", "pipelines.run.reading",
                 "pipelines.run.contract_rules"):  # fmt: skip
        importlib.import_module(name)
    gc.freeze()  # what is shared with the children stays so
    ended = {}  # exit codes, which two threads of a run may ask for
    while True:
        content, passed, _, _ = orders.recvmsg(MOST, socket.CMSG_SPACE(3 * 4))
        if not content:
            os._exit(0)
        order = json.loads(content)
        if "pid" in order:
            if order["pid"] not in ended:
                pid, status = os.waitpid(order["pid"], os.WNOHANG)
                if pid:
                    ended[pid] = os.waitstatus_to_exitcode(status)
            reply = ended.get(order["pid"])
        else:
            descriptors = array.array("i", passed[0][2]).tolist()
            reply = _forked(order, descriptors, child_process)
            ended.pop(reply, None)  # the number of an earlier child may come again
            for descriptor in descriptors:
                os.close(descriptor)
        orders.send(json.dumps(reply).encode())


def _forked(order, descriptors, child_process):
    if pid := os.fork():
        return pid
    code = 1
    try:
        for number, descriptor in enumerate(descriptors):
            os.dup2(descriptor, number)
        os.closerange(3, 256)
        os.chdir(order["cwd"])
        os.environ.clear()
        os.environ.update(order["env"])
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, "w" if number else "r", closefd=False) for number in range(3)
        )
        target, memory, *warm = order["words"]
        child_process.serve(target, int(memory), warm)
        sys.stdout.flush()
        sys.stderr.flush()
        code = 0
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
