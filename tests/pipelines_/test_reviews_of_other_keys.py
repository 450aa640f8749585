"""Reviews that were signed by earlier keys of a ledger: vouched for by the chain, walked once."""

import pytest
import review_page
from review_page import accused, commit, lines

from pipelines.cli import main
from pipelines.clock import now
from pipelines.review import recording
from pipelines.review.recording import Ask
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store import trust
from pipelines.store.commit import Committer
from pipelines.store.decisions import History
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger.ledger import Ledger

KEYS, EACH = 3, 4  # keys, and reviews by each


@pytest.fixture
def store(tmp_path):
    """Return a store whose reviews are signed by keys, one after the other."""
    made = Store(tmp_path / "store")
    contract, count = review_page.contract_in(tmp_path), KEYS * EACH
    entry = commit(made, contract, tmp_path, lines(count), [accused(list(range(count)))])
    for row in range(count):
        if row and row % EACH == 0:
            assert main(["ledger", "rotate", "--store", str(made.folder)]) == 0
        ask = Ask(Selection(row=str(row)), "reject")
        recording.record(ReviewedRun.of(made, entry), [ask], "anna")
    return made


def test_the_ledger_is_walked_once_for_all_reviews_of_other_keys(store, monkeypatch):
    walks, whole = [], trust.require_whole

    def walked(*given):
        walks.append(given)
        return whole(*given)

    monkeypatch.setattr(trust, "require_whole", walked)
    history = History.of(store, "people")
    assert len(history.stacks) == KEYS * EACH
    assert len(walks) == 1


def test_an_entry_that_came_after_the_walk_is_walked_to(store):
    numbers = store.ledger.numbers()
    vouched = trust.Vouching(store)
    [first] = [store.ledger.read(n) for n in numbers if store.ledger.read(n).kind == "review"][:1]
    vouched(first)
    facts = {"schema": "assay.entry/1", "base": 1, "dataset": "people", "by": "me", "shown": {}}
    later = Committer.of(store, now()).commit_access(facts)
    assert main(["ledger", "rotate", "--store", str(store.folder)]) == 0
    assert vouched(later) == later


def test_an_entry_of_another_key_that_is_not_in_the_chain_is_refused(store, tmp_path):
    """As if somebody had put back an entry of a ledger that the same keys signed elsewhere."""
    foreign = Store(tmp_path / "foreign")
    facts = {"schema": "assay.entry/1", "base": 1, "dataset": "people", "by": "me", "shown": {}}
    other = Committer.of(foreign, now()).commit_access(facts)
    assert main(["ledger", "rotate", "--store", str(store.folder)]) == 0
    with pytest.raises(AssayError) as refused:
        trust.vouched(store, other)
    assert refused.value.code == "ASSAY-L004"
    assert Ledger(foreign.ledger.folder).head() == other
