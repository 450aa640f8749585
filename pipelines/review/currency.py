"""Whether what was checked of a decision still holds at the moment when it is recorded.

A decision is checked against the decisions that were read before. Another process may record one
on the same rows in between: the ledger's lock is where this is looked at, so that of two decisions
that contradict each other one is recorded, and the other is checked again and refused.
"""

import functools
from collections.abc import Callable, Collection
from typing import TypeVar

from pipelines.review.reviewed_run import ReviewedRun
from pipelines.store import review_entries
from pipelines.store.opinions import Identity
from pipelines.store.store import Store
from provenance.base.errors import AssayError

TRIES = 20  # to record something while others decide about the same rows
Made = TypeVar("Made")


class OutdatedError(Exception):
    """Somebody decided about the same rows since the decisions were read; nothing is recorded."""


def check(
    store: Store, dataset: str, rows: Collection[Identity], end: int
) -> Callable[[int], None]:
    """Return what the commit of a review calls under the ledger's lock, with the entry's number.

    Args:
        store: holds the ledger.
        dataset: of the review.
        rows: that it is about.
        end: number of the last entry whose decisions were known when it was checked.

    Raises:
        OutdatedError: from what is returned.
    """
    return functools.partial(_check, store, dataset, frozenset(rows), end)


def _check(store: Store, dataset: str, rows: frozenset[Identity], end: int, number: int) -> None:
    read = store.ledger.reader()
    for later in range(end + 1, number):
        entry = store.ledger.require_unedited(read(later))
        if review_entries.is_review(entry, dataset):
            made = review_entries.recorded_in(store, entry)
            if any(decision.identity in rows for decision in made):
                raise OutdatedError


def until_recorded(run: ReviewedRun, act: Callable[[ReviewedRun], Made]) -> Made:
    """Return what `act` recorded of a run; it is called again with all decisions if outdated.

    Raises:
        AssayError: ASSAY-C014 if others never stop deciding about the same rows.
    """
    for _ in range(TRIES):
        try:
            return act(run)
        except OutdatedError:
            run = type(run).of(run.store, run.entry)
    what = "others keep deciding about these rows"
    raise AssayError("C014", what, fix="nothing was recorded; try again in a moment")
