"""The certificate of a vote: by hand, by attack, and on tables that have none."""

import dataclasses
import re

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.certificate import LEAST, PART, Certificate, certified
from checks.kit import registry, sample


def check_for(table, partitions=5, reference=None, **options):
    context = tables.context_for(table, reference, **tables.ROLES)
    asked = {"certificate": {"partitions": partitions, **options}}
    contract = dataclasses.replace(context.contract, checks=asked)
    return Certificate(dataclasses.replace(context, contract=contract))


def told(table, sizes=(), **options):
    check = check_for(table, **options)
    states = [check.fit(shard) for shard in tables.cut(table, *sizes)]
    state = states[0]
    for other in states[1:]:
        state = check.merge(other, state)
    [finding] = check.finish(state).overall.to_pylist()
    assert (finding["severity"], finding["rule"]) == ("info", "certificate.votes")
    return finding["evidence"]


def votes_of(table, asked):
    check = check_for(table)
    [shard] = tables.cut(table)
    state = check.fit(shard)
    learn = state.filter(pa.compute.greater_equal(state[PART], 0))
    codes = np.array([{"no": 0, "yes": 1}[value] for value in learn["label"].to_pylist()])
    return check._votes(learn, codes, asked, 2)


@pytest.mark.parametrize(
    ("votes", "best", "radius"),
    [
        ([30, 20], 0, 5),  # 25 to 25 is a tie, which the first class keeps; the sixth row turns it
        ([20, 30], 1, 4),  # 25 to 25 would be lost: the fifth row turns it
        ([25, 25], 0, 0),
        ([24, 26], 1, 0),
        ([23, 27], 1, 1),
        ([50, 0], 0, 24),  # a new class may come first: 25 to 25 would be lost
        ([10, 3, 12], 2, 0),
        ([0, 10, 7], 1, 1),
        ([7, 10, 0], 1, 1),
        ([6, 10, 8], 1, 1),
    ],
)
def test_the_radius_by_hand(votes, best, radius):
    got = certified(np.array([votes]))
    assert (int(got[0][0]), int(got[1][0])) == (best, radius)


def test_no_attack_within_the_radius_turns_the_vote():
    draw = np.random.default_rng(0)
    for votes in draw.integers(0, 12, (200, 3)):
        best, radius = (int(part[0]) for part in certified(votes[None, :]))
        for other in {0, 1, 2} - {best}:
            moved = votes.copy()
            moved[best] -= radius
            moved[other] += radius
            assert moved.argmax() == best
        worst = votes.copy()
        runner = max({0, 1, 2} - {best}, key=lambda c: (votes[c], -c))
        worst[best] -= radius + 2
        worst[runner] += radius + 2
        assert worst.argmax() != best  # the radius is no more careful than it must be


@pytest.mark.parametrize("change", ["removed", "added", "first row removed"])
def test_a_row_that_comes_or_goes_moves_one_vote_at_most(change):
    table, asked = tables.loans(600), tables.loans(200, seed=5)
    before = votes_of(table, asked)
    other = {
        "removed": lambda: pa.concat_tables([table.slice(0, 300), table.slice(301)]),
        "added": lambda: pa.concat_tables([tables.loans(1, seed=8), table]),
        "first row removed": lambda: table.slice(1),
    }[change]()
    moved = np.abs(votes_of(other, asked) - before).sum(1)
    assert moved.max() <= 2  # one vote taken from a class and given to another
    assert (before.sum(1) == 5).all()


def test_the_finding_says_what_the_vote_can_stand():
    table = tables.loans(900)
    text = told(table)
    assert "A vote of 5 models" in text
    assert " held-out rows" in text
    shares = [float(share) for share in re.findall(r"([0-9.]+)% (?:of|for)", text)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 75
    assert shares[3] == shares[4] == 0.0  # five models cannot withstand five rows
    assert told(table, sizes=(100, 450)) == text
    assert " trusted rows" in told(table, reference=tables.loans(300, seed=3))


def test_a_full_partition_keeps_its_own_lowest_rows_alone():
    check = check_for(tables.loans(10), sample=100)
    [shard] = tables.cut(tables.loans(2_000))
    state = check.fit(shard)
    sizes = np.bincount(state[PART].to_numpy() + 1)
    assert sizes[1:].tolist() == [20] * 5
    assert sample.RANK in state.column_names


@pytest.mark.parametrize(
    ("rows", "label"),
    [
        (0, None), (1, None), (20, None), (400, ["yes"]), (400, [None]),
        (400, [f"c{n}" for n in range(400)]),
    ],
)  # fmt: skip
def test_what_has_no_certificate_says_so(rows, label):
    table = tables.loans(max(rows, 1)).slice(0, rows)
    if label:
        place = table.column_names.index("label")
        table = table.set_column(place, "label", pa.array(np.resize(label, rows), pa.string()))
    assert told(table).startswith("No certificate: ")


def test_odd_columns_never_raise():
    table = tables.loans(400)
    odd = {
        "income": np.resize([np.nan, 1e308, -1e308, 0.0, 5e-324], 400),
        "kind": [f"k{n}" for n in range(400)],
        "late": pa.nulls(400, pa.int64()),
        "note": pa.nulls(400, pa.string()),
    }
    for name, values in odd.items():
        table = table.set_column(table.column_names.index(name), name, pa.array(values))
    assert "A vote of 5 models" in told(table)


def test_it_is_an_option():
    table = tables.loans(30)
    context = tables.context_for(table, **tables.ROLES)
    assert "certificate" not in registry.select(context)[0]
    for asked in ({}, True, {"partitions": 3}):
        contract = dataclasses.replace(context.contract, checks={"certificate": asked})
        assert "certificate" in registry.select(dataclasses.replace(context, contract=contract))[0]
    assert LEAST * 50 > 600  # the laws' tables are refused quickly


@pytest.mark.parametrize("value", ["on", "true", "{}", "{partitions: 5}"])
def test_it_runs_wherever_the_contract_names_it(value, tmp_path):
    from checks.contract import loader

    path = tmp_path / "contract.yaml"
    path.write_text(
        "apiVersion: v3.1.0\nkind: DataContract\n"
        "schema: [{name: t, properties: [{name: a, logicalType: integer}]}]\n"
        f"customProperties: [{{property: assay.checks, value: {{certificate: {value}}}}}]\n"
    )
    assert "certificate" in loader.load(path).checks
