"""The hooks that checks offer are found through the registry, and cost the others nothing."""

# ruff: noqa: ARG002, ARG003  # a hook takes what every check may need

import dataclasses
import importlib.util
from typing import ClassVar

import pyarrow as pa
import pytest
import tables

from checks.kit import findings, registry
from checks.kit.contract_model import Contract
from checks.kit.protocol import Check, Context, Model
from checks.pii import Pii

HOOKS = ("prepare", "redact", "scan_clean", "suggest", "is_private", "conclude")


class Shouts(Check[int, Model]):
    """A check of one file that offers every hook."""

    name = "shouts"
    threats = ("data leakage",)
    named_files: ClassVar = {"lexicon": "private", "rows": "rows"}
    prepared = 0

    def fit(self, shard):
        return len(shard.rows)

    def merge(self, left, right):
        return left + right

    def finish(self, state):
        return Model(notes=(str(state),))

    def score(self, shard, model):
        return findings.empty()

    @classmethod
    def prepare(cls, contract):
        cls.prepared += 1

    @classmethod
    def redact(cls, texts, column, contract, *, key=None):
        return pa.array([text and text.upper() for text in texts.to_pylist()])

    @classmethod
    def scan_clean(cls, table, contract, found=None):
        return findings.make([0], check=cls.name, rule="shouts.low")

    @classmethod
    def suggest(cls, column, texts):
        return (f"check: {column.name} is quiet",)

    @classmethod
    def is_private(cls, column, values=None):
        return column == "secret"

    @classmethod
    def conclude(cls, context, found, shards, memory):
        return Model(overall=findings.make(None, check=cls.name, rule="shouts.many"))


@pytest.fixture
def shouting(monkeypatch):
    known = registry.load()
    monkeypatch.setattr(registry, "load", lambda: {**known, "shouts": Shouts})
    return contract(shouts={"lexicon": "words.txt"})


def contract(**checks):
    return Contract("t", "1", "c.yaml", "0" * 64, (), checks=checks)


def test_a_new_check_offers_its_hooks_by_overriding_them(shouting):
    assert all("shouts" in registry.offering(hook) for hook in HOOKS)
    registry.prepare(shouting)
    assert Shouts.prepared == 1
    cells = pa.array(["quiet", None, "write to a@example.org"])
    assert registry.redact(cells, "note", shouting).to_pylist() == [
        "QUIET",
        None,
        "WRITE TO <EMAIL_ADDRESS>",
    ]
    found = registry.scan_clean(pa.table({"note": ["quiet"]}), shouting)
    assert found["check"].to_pylist() == ["shouts"]
    column = tables.contract_for(pa.schema([("note", pa.string())])).columns[0]
    assert "check: note is quiet" in registry.suggest(column, pa.array([], pa.string()))
    assert registry.is_private("secret")
    assert not registry.is_private("note", pa.array(["quiet"]))


def test_files_are_named_by_the_options_of_active_checks(shouting):
    [file] = registry.named_files(shouting)
    assert (file.check, file.option, file.path, file.use) == (
        "shouts",
        "lexicon",
        "words.txt",
        "private",
    )
    assert not [*registry.named_files(contract(shouts="off"))]
    named = contract(pii={"deny_file": "d", "model": "m"}, duplicates={"test": "t"})
    assert {(f"{f.check}.{f.option}", f.use) for f in registry.named_files(named)} == {
        ("pii.deny_file", "private"),
        ("pii.model", "model"),
        ("duplicates.test", "rows"),
    }


def test_a_check_without_hooks_does_nothing():
    kind = registry.load()["leakage"]
    assert not any("leakage" in registry.offering(hook) for hook in HOOKS)
    cells = pa.array(["a@example.org"])
    table = pa.table({"note": cells})
    context = Context(tables.contract_for(table.schema), table.schema, 1)
    assert kind.prepare(context.contract) is None
    assert kind.redact(cells, "note", context.contract) is cells
    assert kind.scan_clean(table, context.contract).num_rows == 0
    assert kind.suggest(context.contract.columns[0], cells) == ()
    assert not kind.is_private("surname", cells)
    assert kind.conclude(context, findings.empty(), [], {"a": 1}).memory == {"a": 1}


@pytest.mark.parametrize("cells", [pa.array([4111111111111111]), pa.array([1.5]), pa.array([True])])
def test_only_texts_are_redacted(cells):
    assert Pii.redact(cells, "card", contract()) is cells


def test_a_column_that_the_contract_allows_is_not_redacted():
    cells = pa.array(["a@example.org"])
    open_ = tables.contract_for(pa.schema([("note", pa.string())]))
    columns = tuple(dataclasses.replace(c, pii="allow") for c in open_.columns)
    allowing = dataclasses.replace(open_, columns=columns)
    assert Pii.redact(cells, "note", allowing).equals(cells)
    assert Pii.redact(cells, "note", open_).to_pylist() == ["<EMAIL_ADDRESS>"]


def test_a_contract_names_the_libraries_of_its_checks_alone():
    schema = pa.schema([("x", pa.float64()), ("y", pa.string())])
    plain, labelled = tables.contract_for(schema), tables.contract_for(schema, y="label")
    off = dataclasses.replace(labelled, checks={"labels": "off", "outliers": "off"})
    named = registry.libraries(labelled, has_reference=False)
    assert {"cleanlab.count", "sklearn.linear_model"} <= set(named)
    assert len(named) == len(set(named))
    without = registry.libraries(plain, has_reference=False)
    assert not {"cleanlab.count", "sklearn.linear_model"} & set(without)
    assert not [n for n in registry.libraries(off, has_reference=False) if "sklearn" in n]
    assert "sklearn.ensemble" in registry.libraries(off, has_reference=True)  # drift


def test_every_library_that_a_check_names_is_there():
    names = {name for kind in registry.load().values() for name in kind.libraries}
    assert names
    assert all(importlib.util.find_spec(name) for name in names)
