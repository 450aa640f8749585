"""The cache of known rules: damaged, foreign, shared or read-only, it never changes a verdict."""

import json
import os
import threading
import time

import pytest

import assay
from checks.contract import yaml_reader
from pipelines import config
from pipelines.run import rules_cache
from pipelines.store import keys
from pipelines.store.staged_contract import StagedContract

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
name: people
version: 1.0.0
status: active
servers: [{server: local, type: local, format: csv, path: people.csv}]
schema:
  - name: people
    quality: [{metric: rowCount, mustBeGreaterThan: 2}]
    properties:
      - {name: id, primaryKey: true}
      - {name: age, logicalType: integer, logicalTypeOptions: {minimum: 18}}
"""
ROWS = "id,age\na,17\nb,18\nc,99\nd,40\n"
MADE = {"types": {}, "conditions": {}, "documents": {}}


@pytest.fixture
def home(tmp_path, tmp_path_factory, monkeypatch):
    """Return a folder with a contract and its source; the cache is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
    (tmp_path / "contract.yaml").write_text(CONTRACT)
    (tmp_path / "people.csv").write_text(ROWS)
    return tmp_path


def staged(home):
    """Return the contract as a run stages it."""
    path = home / "contract.yaml"
    digest = yaml_reader.read(path).sha256
    return StagedContract(str(path), digest, str(path), str(path), str(home))


def found(home, **other):
    """Return the contract's place in the cache, looked up."""
    place = rules_cache.CachedRules(StagedContract(**{**staged(home).arguments(), **other}))
    place.find()
    return place


def folder():
    return config.user_folder("XDG_CACHE_HOME", "~/.cache") / "assay" / "rules"


def files():
    return sorted(folder().iterdir()) if folder().exists() else []


def ran(home, store):
    """Run the contract; return its verdict, its result and its findings."""
    made = assay.run(None, home / "contract.yaml", store=home / store)
    run = made.folder
    result = json.loads((run / "expectations" / "result.json").read_text())
    return made.verdict.word, result, (run / "findings" / "part-00000.parquet").read_bytes()


def test_a_second_run_uses_what_the_first_kept_and_a_damaged_cache_changes_nothing(home):
    first = ran(home, "one")
    [kept] = files()
    content = kept.read_bytes()
    assert found(home).known
    assert ran(home, "two") == first
    assert files() == [kept]
    # the condition `age < 18` turned round, and the seal left as it was
    kept.write_bytes(content.replace(b"age < 18", b"age > 18"))
    assert kept.read_bytes() != content
    assert found(home).known is None
    assert ran(home, "three") == first
    assert found(home).known  # made anew


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"{}" * 40, b"\0" * 4096],
    ids=["empty", "cut", "without a seal", "nothing but zeros"],
)
def test_a_damaged_file_is_as_none(home, damage):
    keys.own(make=True)
    place = found(home)
    place.keep(MADE)
    [kept] = files()
    assert found(home).known == MADE
    kept.write_bytes(damage)
    assert found(home).known is None
    place.keep(MADE)
    assert found(home).known == MADE


def test_another_key_name_or_version_finds_nothing(home, monkeypatch, tmp_path_factory):
    keys.own(make=True)
    found(home).keep(MADE)
    other = tmp_path_factory.mktemp("other")
    with monkeypatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(other))
        assert found(home).known is None  # no key at all
        keys.own(make=True)
        assert found(home).known is None  # sealed by another key
    with monkeypatch.context() as patch:
        patch.setattr(rules_cache.own_code, "versions", lambda _: ["3.0"])
        assert found(home).known is None
    assert (
        found(home, name="elsewhere.yaml").known is None
    )  # its findings name the contract's lines
    assert found(home).known == MADE


def test_a_file_under_another_name_is_not_taken_for_it(home):
    keys.own(make=True)
    place = found(home)
    place.keep(MADE)
    [kept] = files()
    (home / "contract.yaml").write_text(CONTRACT.replace("18", "17"))
    other = found(home)
    kept.rename(folder() / other._key)
    assert found(home).known is None


def test_a_link_is_not_followed(home, tmp_path):
    keys.own(make=True)
    place = found(home)
    place.keep(MADE)
    [kept] = files()
    target = kept.rename(tmp_path / "elsewhere")
    kept.symlink_to(target)
    content = target.read_bytes()
    assert found(home).known is None
    place.keep({**MADE, "types": {"a": "BIGINT"}})
    assert target.read_bytes() == content
    assert found(home).known["types"] == {"a": "BIGINT"}


def test_a_run_does_without_a_cache_that_cannot_be_written(home):
    folder().parent.mkdir(parents=True, exist_ok=True)
    folder().write_text("a file where the folder would be")
    assert ran(home, "one")[0] == "fail"  # one row is under age
    assert folder().read_text() == "a file where the folder would be"


def test_several_runs_may_fill_it_at_once(home):
    keys.own(make=True)
    place = found(home)
    large = {**MADE, "types": {str(n): "BIGINT" for n in range(20_000)}}
    seen, over = [], threading.Event()

    def read():
        while not over.is_set():
            seen.append(found(home).known)

    def write():
        for _ in range(20):
            place.keep(large)

    reader = threading.Thread(target=read)
    writers = [threading.Thread(target=write) for _ in range(3)]
    reader.start()
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    over.set()
    reader.join()
    assert all(known in (None, large) for known in seen)
    assert found(home).known == large
    assert [path.name for path in files()] == [place._key]  # no draft is left


def test_what_nobody_uses_any_more_is_removed_and_nothing_else(home, monkeypatch):
    keys.own(make=True)
    place = found(home)
    place.keep(MADE)
    old, fresh, foreign = (folder() / name for name in ("0" * 64, "1" * 64, "notes.txt"))
    for path in (old, fresh, foreign):
        path.write_text("x")
    age = time.time() - rules_cache.MAX_AGE - 60
    os.utime(old, (age, age))
    os.utime(foreign, (age, age))
    place.keep(MADE)
    assert {path.name for path in files()} == {place._key, fresh.name, foreign.name}
    monkeypatch.setattr(rules_cache, "MAX_FILES", 0)
    place.keep(MADE)
    assert {path.name for path in files()} == {place._key, foreign.name}
