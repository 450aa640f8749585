"""Many processes at one ledger: what each of them does, and how it says what it has done."""

import json
import sys
from pathlib import Path

from pipelines.clock import now
from pipelines.store.commit import Committer
from pipelines.store.store import Store


def commit_reviews(words):
    """Commit reviews of run 1, one for each number from FIRST on; print each when it is committed.

    What is told of a review is its number of decisions, which stands in `assay ledger log`.
    """
    folder, first, count = Path(words[0]), int(words[1]), int(words[2])
    store = Store(folder)
    for number in range(first, first + count):
        facts = {"schema": "assay.entry/1", "kind": "review", "time": now(), "base": 1,
                 "dataset": "crowd", "decisions": {"reject": number}}  # fmt: skip
        entry = Committer.of(store, facts["time"]).commit_review(facts, b"%d" % number)
        sys.stdout.write(json.dumps({"number": number, "entry": entry.seq}) + "\n")
        sys.stdout.flush()
    return 0
