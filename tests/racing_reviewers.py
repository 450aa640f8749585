"""Reviewers in processes of their own that decide about the same row at the same moment."""

import contextlib
import multiprocessing

from pipelines.review import recording
from pipelines.review.desk import ConflictError, Desk
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store.store import Store
from provenance.base.errors import AssayError

SPAWN = multiprocessing.get_context("spawn")
SECONDS = 120  # after which somebody hangs


def shell(store, number, orders, start):
    """Do as `assay review RUN --decide` and `--undo` do: everything is read first, then recorded.

    An order is (`decide`, row, decision, reviewer) or (`undo`, entry, reviewer).
    """
    while (order := orders.recv()) is not None:
        run = ReviewedRun.of(store, store.find(str(number)))
        _ = run.standing
        start.wait(SECONDS)
        orders.send(_told(lambda order=order, run=run: _at_once(run, order)))


def _at_once(run, order):
    if order[0] == "undo":
        return recording.withdraw(run, order[1], order[2], None)
    row, decision, reviewer = order[1:]
    return recording.record(run, [Ask(Selection(row=str(row)), decision)], reviewer)


def page(store, number, orders, start):
    """Do as the server of the page does for a reviewer who has the first version on screen."""
    desk = Desk(store, "page")
    queue = desk.queue(number)
    while (order := orders.recv()) is not None:
        ask = Ask(Selection(row=str(order[1])), order[2])
        start.wait(SECONDS)
        orders.send(_told(lambda ask=ask: desk.decide(queue, ask, 0, overrule=False)))


def _told(act):
    try:
        return "recorded", act().entry.seq
    except ConflictError as error:
        return "conflict", error.last.entry
    except AssayError as error:
        return error.code, error.what


class Race:
    """Processes, one for each of `kinds`, that act on each round of orders at the same moment."""

    def __init__(self, folder, number, *kinds):
        """Start the processes on run `number` of the store in `folder`."""
        self._start = SPAWN.Barrier(len(kinds))  # kept: with it goes its semaphore
        self._ends, self._processes = [], []
        for kind in kinds:
            ours, theirs = SPAWN.Pipe()
            made = SPAWN.Process(target=kind, args=(Store(folder), number, theirs, self._start))
            made.start()
            self._ends.append(ours)
            self._processes.append(made)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.send(None)
        for process in self._processes:
            process.join(SECONDS)

    def round(self, *orders):
        """Send one order to each process; returns what each was told."""
        for end, order in zip(self._ends, orders, strict=True):
            end.send(order)
        return [end.recv() for end in self._ends]
