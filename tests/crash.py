"""Assay's commands in forked children of one warm process, so that hundreds can be killed.

Great Expectations takes seconds to import: `Warm` starts one process that imports everything once
and forks for each command, which runs through `pipelines.cli.main` as it is. The children that a
run starts for reading and for the rules are forked as well instead of started anew; what they do,
and how they are spoken to, is `child_process`'s own. `write_points` says where it can fail.
"""

import contextlib
import dataclasses
import gc
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE)]

import write_points  # noqa: E402

KILLED = -signal.SIGKILL
STUCK = 120.0  # seconds after which a command hangs


@dataclasses.dataclass
class Done:
    """What a command left: its exit code (negative: the signal), its stdout and its stderr."""

    code: int
    out: str
    errors: str
    points: list
    is_hit: bool

    @property
    def lines(self):
        """Return the objects that the command printed, one a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def told(self):
        """Return the one object of a command; empty if it was killed before it printed."""
        return self.lines[0] if self.lines else {}

    @property
    def error(self):
        """Return the code of the refusal, None if there is none."""
        return (self.told.get("error") or {}).get("code")

    @property
    def number(self):
        """Return the number of the entry that the command said it committed, None if none."""
        return self.told.get("entry", self.told.get("run")) if self.code in (0, 1, 3) else None


class Started:
    """A command under way."""

    def __init__(self, warm, pid, folder):
        self._warm, self.pid, self._folder = warm, pid, folder

    def said(self):
        """Return what it has printed so far."""
        place = self._folder / "out"
        return place.read_text() if place.exists() else ""

    def kill(self):
        """Send SIGKILL to the command's own process, and to no child of it."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self, seconds=STUCK):
        """Return what came of it; a command that hangs is killed and TimeoutError."""
        until = time.monotonic() + seconds
        while (code := self._warm.ask(do="poll", pid=self.pid)) is None:
            if time.monotonic() > until:
                os.killpg(self.pid, signal.SIGKILL)
                raise TimeoutError(f"it hangs: {(self._folder / 'err').read_text()[-2000:]}")
            time.sleep(0.005)
        points, is_hit = write_points.read_log(self._folder / "points")
        out, errors = ((self._folder / name).read_text() for name in ("out", "err"))
        return Done(code, out, errors, points, is_hit)


class Warm:
    """The warm process, asked by lines of JSON; a context manager."""

    def __init__(self, folder):
        """Start it; `folder` is for the texts that commands print."""
        self._folder, self._count, self._lock = Path(folder), 0, threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-P", __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def ask(self, **order):
        """Send one order, return its answer; threads may ask side by side."""
        with self._lock:
            self._process.stdin.write(json.dumps(order) + "\n")
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())

    def start(self, *words, env, cwd, as_json=True, call=None, fault=None, user=None, patch=None):
        """Start `assay WORDS --json`, or call a function with WORDS.

        Args:
            env: variables; those set to None are unset. ASSAY_STORE and XDG_CONFIG_HOME are needed.
            cwd: the working folder.
            as_json: whether `--json` is added.
            call: `module:function` instead of the command; it returns an exit code.
            fault: (point as text, mode) of `write_points`; None fails nowhere.
            user: the number of the user to be.
            patch: constants to set, such as {"provenance.base.atomic:LOCK_SECONDS": 0.5}.
        """
        with self._lock:
            self._count += 1
            place = self._folder / str(self._count % 64)
        place.mkdir(parents=True, exist_ok=True)
        for path in place.iterdir():
            path.unlink()
        words = [*map(str, words)]
        if as_json and not call:  # before the command of a gate
            words.insert(words.index("--") if "--" in words else len(words), "--json")
        pid = self.ask(do="start", words=words, place=str(place), env=env, cwd=str(cwd), call=call,
                       fault=fault, user=user, patch=patch or {})  # fmt: skip
        return Started(self, pid, place)

    def run(self, *words, **named):
        """Run a command to its end."""
        return self.start(*words, **named).wait()

    def assay(self, *words, cwd, env=None):
        """Run `assay WORDS` with the environment of now; what `subprocess.run` would return."""
        env = {"ASSAY_STORE": str(Path(cwd) / "assay-store"), **os.environ, **(env or {})}
        done = self.run(*words, env=env, cwd=cwd, as_json=False)
        return subprocess.CompletedProcess(words, done.code, done.out, done.errors)


def main():
    """Be the warm process."""
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    from pipelines import config

    config.quiet_libraries()
    _warm_up()
    gc.freeze()  # what is shared with the children stays so
    for line in sys.stdin:
        order = json.loads(line)
        reply = _start(order) if order["do"] == "start" else _poll(order["pid"])
        print(json.dumps(reply), file=answer, flush=True)
    os._exit(0)  # what libraries say at the end of Python is nobody's business


def _warm_up():
    from checks.kit import registry
    from pipelines import cli
    from pipelines.run import background

    registry.load()
    for verb in cli.VERBS:
        importlib.import_module(f"pipelines.commands.{verb}")
    for name in (
        *(name for check in registry.load().values() for name in check.libraries),
        *background.RULES,
        "provenance.readers.ingest",
        "pipelines.run.run",
    ):
        importlib.import_module(name)


def _poll(pid):
    ended, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if ended else None


def _start(order):
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            code = _command(order)
        finally:
            os._exit(code)
    with contextlib.suppress(ProcessLookupError):
        os.setpgid(pid, pid)  # here and there: a group of its own, whoever comes first
    return pid


def _command(order):
    from pipelines.run import child_process

    os.setpgid(0, 0)
    os.chdir(order["cwd"])
    place = order["place"]
    _redirect(os.devnull, os.O_RDONLY, 0)
    for number, name in ((1, "out"), (2, "err")):
        _redirect(f"{place}/{name}", os.O_WRONLY | os.O_CREAT, number)
    os.closerange(3, 256)
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(number, "w" if number else "r", closefd=False) for number in range(3)
    )
    for name, value in order["env"].items():
        os.environ.pop(name, None) if value is None else os.environ.update({name: value})
    folders = {"store": os.environ["ASSAY_STORE"], "config": os.environ["XDG_CONFIG_HOME"]}
    watching = write_points.Watch(folders, f"{place}/points", order["fault"])
    child_process.subprocess = _Forking(watching)
    _patch(order["patch"])
    if order["user"] is not None:
        os.setgroups([])
        os.setgid(order["user"])
        os.setuid(order["user"])
    write_points.watch(watching)
    module, _, name = (order["call"] or "pipelines.cli:main").partition(":")
    code = getattr(importlib.import_module(module), name)(order["words"])
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code


def _redirect(path, flags, number):
    descriptor = os.open(path, flags, 0o600)
    os.dup2(descriptor, number)
    os.close(descriptor)


def _patch(constants):
    for place, value in constants.items():
        module, _, name = place.partition(":")
        if not hasattr(sys.modules[module], name):
            raise AttributeError(place)
        setattr(sys.modules[module], name, value)


class _Forking:
    """What `child_process` sees as `subprocess`: its process is forked, not started anew."""

    PIPE = subprocess.PIPE

    def __init__(self, watching):
        self._watching = watching

    def Popen(self, command, stdin, stdout, stderr, env):  # noqa: ARG002, N802  the signature of Popen
        return _Forked(command[4:], stderr, self._watching)


class _Forked:
    """A forked process with what `Child` uses of `subprocess.Popen`."""

    def __init__(self, words, log, watching):
        ask_out, ask_in = os.pipe()
        tell_out, tell_in = os.pipe()
        self.returncode, self._lock = None, threading.Lock()
        self.pid = os.fork()
        if self.pid == 0:
            self._serve(words, log, watching, ask_out, tell_in)
        os.close(ask_out)
        os.close(tell_in)
        self.stdin, self.stdout = os.fdopen(ask_in, "wb"), os.fdopen(tell_out, "rb")

    def _serve(self, words, log, watching, asked, told):
        from pipelines.run import child_process

        code = 1
        try:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for number, descriptor in enumerate((asked, told, log.fileno())):
                os.dup2(descriptor, number)
            kept = watching.keep()
            os.closerange(3, kept)  # as a process that is started anew holds no lock of ours
            os.closerange(kept + 1, 256)
            sys.stdin = os.fdopen(0, "r", closefd=False)
            target, memory, *warm = words
            watching.forked({"run_rules": "rules"}.get(target.split(":")[1], "reader"))
            child_process.serve(target, int(memory), warm)
            code = 0
        finally:
            os._exit(code)

    def poll(self):
        return self._ended(os.WNOHANG)

    def wait(self):
        return self._ended(0)

    def _ended(self, options):
        with self._lock:  # stages of several threads may ask
            if self.returncode is None:
                ended, status = os.waitpid(self.pid, options)
                self.returncode = os.waitstatus_to_exitcode(status) if ended else None
            return self.returncode

    def kill(self):
        os.kill(self.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
