"""The list of stages, and what an interrupt after the commit no longer undoes."""

import inspect
from types import SimpleNamespace

import pytest

from pipelines.run.run import STAGES
from pipelines.store.outcome import Committed, Fated, Outcome
from provenance.base.errors import AssayError

MADE = Outcome(SimpleNamespace(seq=1), None, None, Fated())


def test_each_stage_needs_only_stages_before_it_and_takes_their_results():
    done = []
    for stage in STAGES:
        assert set(stage.needs) <= set(done), stage.name
        assert len(inspect.signature(stage.call).parameters) == 1 + len(stage.needs), stage.name
        done.append(stage.name)
    assert len(done) == len(set(done)) == 8
    needed = {name for stage in STAGES for name in stage.needs}
    assert set(done) - needed == {"commit"}  # no result is lost


def test_before_the_commit_an_interrupt_ends_the_run():
    committed = Committed()
    with pytest.raises(KeyboardInterrupt), committed:
        raise KeyboardInterrupt
    with pytest.raises(AssayError, match="E005"):
        committed.result()


def test_after_the_commit_an_interrupt_is_noted_wherever_it_comes():
    committed, seen = Committed(), []
    with committed:
        with committed:
            committed.outcome = MADE
            raise KeyboardInterrupt
        seen.append("what follows the stages")
        raise KeyboardInterrupt
    assert seen
    assert committed.result().is_interrupted
    assert not MADE.is_interrupted


@pytest.mark.parametrize("error", [AssayError("E002", "full"), SystemExit(3), ValueError()])
def test_after_the_commit_another_error_still_comes_out(error):
    committed = Committed(MADE)
    with pytest.raises(type(error)), committed:
        raise error
    assert not committed.result().is_interrupted
