"""Fuzzing in a child that may die: every case is in memory that outlives it, before it is run.

The child is forked when all is imported. The kernel ends it where a case takes too much processor
time or address space, the parent where a case takes too long by the clock; either way the case is
known, kept on disk with what came of it, and the next child goes on.
"""

import contextlib
import dataclasses
import gc
import itertools
import json
import mmap
import os
import random
import resource
import select
import shutil
import signal
import struct
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

from fuzzing.mutation import MOST
from fuzzing.target import HEAD, LawBrokenError, Target

from provenance.base.codes import CODES
from provenance.base.errors import AssayError

MIB = 1 << 20
_ROOM = 16 + 2 * (MOST + HEAD)
_KEPT = 4000  # cases in a corpus at most
_CRASHES = ("SIGABRT", "SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL")
_CYCLE = 500  # cases after which a child collects what Python left in cycles


@dataclasses.dataclass(frozen=True)
class Bounds:
    """What one case may take.

    Attributes:
        cpu: seconds of processor time, whole.
        wall: seconds by the clock; much more, for the machine may have other work.
        resident: bytes of memory in use beyond what the child began with.
        space: bytes of address space beyond that.
    """

    cpu: int = 20
    wall: float = 120.0
    resident: int = 1024 * MIB
    space: int = 4096 * MIB


@dataclasses.dataclass
class Tally:
    """What came of the cases of one target."""

    cases: int = 0
    refused: int = 0
    contained: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    largest: int = 0
    outcomes: Counter[str] = dataclasses.field(default_factory=Counter)
    failures: Counter[str] = dataclasses.field(default_factory=Counter)


class Fuzzing:
    """The fuzzing of one target: its corpus, its failures and what it has counted so far."""

    def __init__(self, target: Target, home: Path, failures: Path, seed: int) -> None:
        """Make the seeds; `home` is scratch, `failures` gets the cases that fail."""
        self.target = target
        self.tally = Tally()
        self._home = home
        self._failures = failures
        self._seed = seed
        self._children = 0
        self._corpus = home / "corpus"
        self._corpus.mkdir(parents=True)
        made = home / "seeds"
        made.mkdir()
        seeds = dict.fromkeys(target.seeds(made))
        self._seeds = len(seeds)
        for case in seeds:
            self._keep(case)
        self._shared = mmap.mmap(-1, _ROOM)
        self._start = 0

    def go(self, seconds: float, bounds: Bounds, most: int | None = None) -> None:
        """Run cases for some seconds, or until there were `most` of them."""
        until = time.monotonic() + seconds
        start = self.tally.cases
        while time.monotonic() < until and (most is None or self.tally.cases - start < most):
            left = None if most is None else most - (self.tally.cases - start)
            self._child(until, bounds, left)
        self.tally.seconds += seconds + time.monotonic() - until

    def replay(self, case: bytes, bounds: Bounds) -> str | None:
        """Run one case; returns what is wrong with it, None if nothing is."""
        before = sum(self.tally.failures.values())
        self._fork(lambda tell: self._run(case, tell, bounds), bounds)
        found = list(self.tally.failures)
        return found[-1] if sum(self.tally.failures.values()) > before else None

    def _child(self, until: float, bounds: Bounds, most: int | None) -> None:
        corpus = [path.read_bytes() for path in sorted(self._corpus.iterdir())]
        draw = random.Random(f"{self._seed} {self.target.name} {self._children}")
        # every second case is a seed as it is, as long as there are any
        unseen = corpus[(self.tally.cases + 1) // 2 : self._seeds]
        seen = set(self.tally.outcomes)
        self._children += 1

        def work(tell: Any) -> None:
            for number in itertools.count():
                if time.monotonic() >= until or number == most:
                    return
                place, is_seed = number // 2, number % 2 == 0 and number // 2 < len(unseen)
                case = unseen[place] if is_seed else self._drawn(draw, corpus)
                told, is_right = self._run(case, tell, bounds)
                if not is_right:
                    return  # the next child begins with a memory that nothing has touched
                if told not in seen and not is_seed and len(corpus) < _KEPT:
                    corpus.append(case)
                    self._keep(case)
                seen.add(told)
                if not number % _CYCLE:
                    gc.collect()

        self._fork(work, bounds)

    def _drawn(self, draw: random.Random, corpus: list[bytes]) -> bytes:
        return self.target.changed(draw, draw.choice(corpus), draw.choice(corpus))

    def _fork(self, work: Any, bounds: Bounds) -> None:
        answers, answer = os.pipe()
        self._begin(None)
        child = os.fork()
        if child == 0:
            os.close(answers)
            self._in_child(work, answer, bounds)
        os.close(answer)
        code = self._watch(child, answers, bounds)
        shutil.rmtree(self._home / "case", ignore_errors=True)
        if code > 0:
            message = f"the child that fuzzes {self.target.name} ended with {code}"
            raise RuntimeError(message)
        if code < 0:
            self._died(signal.Signals(-code).name)

    def _died(self, of: str) -> None:
        """Count a case that ended its child; it is right if the product sees that coming."""
        number, case = self._current()
        self.tally.cases += 1
        if self.target.contained and of in _CRASHES:
            folder = self._home / "case"
            folder.mkdir()
            told = self.target.contained(case, folder)
            shutil.rmtree(folder)
            if told is not None:
                self.tally.contained += 1
                self.tally.outcomes[told] += 1
                return
        self._failed(case, f"died of {of}", f"case {number} of this child")

    def _in_child(self, work: Any, answer: int, bounds: Bounds) -> None:
        code = 1
        try:
            self._start = _status("VmRSS")
            space = _status("VmSize") + bounds.space
            resource.setrlimit(resource.RLIMIT_AS, (space, space))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            with os.fdopen(answer, "w") as stream:

                def tell(fact: dict[str, Any]) -> None:
                    stream.write(json.dumps(fact) + "\n")
                    stream.flush()

                work(tell)
            code = 0
        except BaseException:  # noqa: BLE001  # the parent sees the exit code
            traceback.print_exc()
        finally:
            os._exit(code)

    def _watch(self, child: int, answers: int, bounds: Bounds) -> int:
        """Take what the child tells until it ends; end it where one case takes too long."""
        number, since, rest = -1, time.monotonic(), b""
        while True:
            ready, _, _ = select.select([answers], [], [], 1.0)
            if ready:
                block = os.read(answers, 1 << 16)
                if not block:
                    break
                *lines, rest = (rest + block).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))
            now = self._current()[0]
            if now != number:
                number, since = now, time.monotonic()
            elif time.monotonic() - since > bounds.wall:
                os.kill(child, signal.SIGKILL)
        os.close(answers)
        _, status = os.waitpid(child, 0)
        return os.waitstatus_to_exitcode(status)

    def _take(self, fact: dict[str, Any]) -> None:
        self.tally.cases += 1
        self.tally.outcomes[fact["told"]] += 1
        self.tally.refused += fact["told"].startswith("ASSAY-") and not fact["trace"]
        self.tally.slowest = max(self.tally.slowest, fact["seconds"])
        self.tally.largest = max(self.tally.largest, fact["grown"])
        if fact["trace"]:
            self._failed(bytes.fromhex(fact["case"]), fact["told"], fact["trace"])

    def _run(self, case: bytes, tell: Any, bounds: Bounds) -> tuple[str, bool]:
        """Run one case in the child; tell what came of it, return that and whether it is right."""
        self._begin(case)
        folder = self._home / "case"
        folder.mkdir()
        used, trace = _used(), ""
        most = int(used) + 1 + bounds.cpu
        resource.setrlimit(resource.RLIMIT_CPU, (most, resource.RLIM_INFINITY))
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before, files, threads = _status("VmRSS"), _open_files(), threading.active_count()
        try:
            told = self.target.run(case, folder)
        except AssayError as refused:
            told = refused.code
            trace = "" if told.removeprefix("ASSAY-") in CODES else f"an unknown code: {told}"
        except BaseException as error:  # noqa: BLE001  # whatever comes out is what is looked for
            told, trace = _named(error), traceback.format_exc()
        grown = _status("VmHWM") - before
        shutil.rmtree(folder)
        if _open_files() > files:
            gc.collect()  # one that a cycle holds is not left open for good
        for holds, what in (
            (grown <= bounds.resident, f"memory overrun: {grown // MIB} MB"),
            (before - self._start <= bounds.resident, "memory leak"),
            (_open_files() <= files, "a file was left open"),
            (threading.active_count() <= threads, "a thread was left running"),
        ):
            if not holds and not trace:
                told = trace = what
        tell({"told": told, "trace": trace, "seconds": round(_used() - used, 3), "grown": grown,
              "case": case.hex() if trace else None})  # fmt: skip
        return told, not trace

    def _begin(self, case: bytes | None) -> None:
        number = 0 if case is None else self._current()[0] + 1
        self._shared.seek(0)
        self._shared.write(struct.pack("<QQ", number, len(case or b"")) + (case or b""))

    def _current(self) -> tuple[int, bytes]:
        number, size = struct.unpack("<QQ", self._shared[:16])
        return number, self._shared[16 : 16 + size]

    def _keep(self, case: bytes) -> None:
        number = sum(1 for _ in self._corpus.iterdir())
        (self._corpus / f"{number:06}").write_bytes(case)

    def _failed(self, case: bytes, what: str, trace: str) -> None:
        self.tally.failures[what] += 1
        if self.tally.failures[what] > 3:
            return
        self._failures.mkdir(parents=True, exist_ok=True)
        name = f"{self.target.name}-{random.Random(case).getrandbits(40):010x}"
        (self._failures / f"{name}.case").write_bytes(case)
        (self._failures / f"{name}.txt").write_text(f"{self.target.name}: {what}\n\n{trace}\n")


def _named(error: BaseException) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1] if error.__traceback__ else None
    place = f" ({Path(frame.filename).name}:{frame.lineno})" if frame else ""
    says = f" {error}" if isinstance(error, LawBrokenError) else ""
    return f"{type(error).__name__}{says}{place}"


def _used() -> float:
    own, reaped = (resource.getrusage(who) for who in
                   (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))  # fmt: skip
    return own.ru_utime + own.ru_stime + reaped.ru_utime + reaped.ru_stime


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))


def _open_files() -> int:
    with contextlib.suppress(OSError):
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208  # counted twice a case
    return 0
