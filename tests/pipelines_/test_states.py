"""States are merged in order, few are held, and groups cover every shard once."""

import pytest
import tables

from checks.kit import registry
from checks.values import Values
from pipelines.checking import engine, state_files
from pipelines.checking.engine import Processes
from pipelines.checking.examine import examine
from provenance.rows.shards import ShardRef, write_shard


class Joined:
    """A check whose merge shows the order in which states came."""

    def merge(self, left, right):
        return f"({left}{right})"


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 100])
def test_states_are_merged_in_their_order_and_few_are_held(count):
    merging, most = state_files.Merging(Joined()), 0
    names = [chr(0x4E00 + number) for number in range(count)]
    for name in names:
        merging.add(name)
        most = max(most, len(merging._held))
    assert most <= count.bit_length()
    assert merging.whole().replace("(", "").replace(")", "") == "".join(names)


@pytest.mark.parametrize("width", [1, 2, 5])
@pytest.mark.parametrize("count", [1, 3, 8, 9, 401])
def test_groups_hold_each_shard_once_and_stay_few(count, width):
    shards = [ShardRef(str(number), number, 1) for number in range(count)]
    cut = state_files.groups(shards, width)
    assert [ref for group in cut for ref in group] == shards
    assert len(cut) <= max(state_files.PER_WORKER * width, count // state_files.LARGEST)
    assert max(map(len, cut)) - min(map(len, cut)) <= 1


def test_a_function_is_handed_to_workers_once_and_nothing_of_it_stays(tmp_path):
    pool = Processes(1, scratch=tmp_path)
    try:
        assert pool.map(Counted(), range(3)) == [0, 1, 2]
        assert pool.map(Counted(), range(2)) == [0, 1]
    finally:
        pool.close()
    assert not list(tmp_path.iterdir())


class Counted:
    """Tells how often it was called since it was unpickled."""

    def __init__(self):
        self.calls = 0

    def __call__(self, _):
        self.calls += 1
        return self.calls - 1


def test_no_state_file_is_left_with_the_models(tmp_path, monkeypatch):
    monkeypatch.setattr(registry, "load", lambda: {"values": Values})
    rows = tables.loans(300)
    refs = [write_shard(tmp_path, shard) for shard in tables.cut(rows, 50)]
    models = tmp_path / "models"
    models.mkdir()
    context = tables.context_for(rows, None, **tables.ROLES)
    done = examine(context, refs, engine.make("serial", 300), models)
    assert not done.faults
    assert [path.name for path in models.iterdir()] == ["values.pkl"]
