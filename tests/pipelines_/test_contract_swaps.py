"""Whoever swaps the contract, or what it names, while a run goes on does not change what is signed.

Files are really swapped on the disk and the children are the real ones. What is recorded is what
every process used, or the run is refused.
"""

import hashlib
import os
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pytest
import runs

from checks.contract import loader, yaml_reader
from checks.pii import deny_list
from checks.pii.search import ready
from checks.pii.settings import settings_of
from pipelines import cli
from pipelines.console import Progress
from pipelines.run import execution, named_files, reading
from pipelines.run.child_process import Child
from pipelines.run.request import Plan, Request, prepare
from pipelines.store import commit, keys, reference_anchor, staged_contract
from pipelines.store.commit import Committer
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.rows.shards import ROW, read_table
from provenance.rows.snapshot import Snapshot

# what these swap, they swap in a child that starts anew
pytestmark = pytest.mark.usefixtures("new_children")

STRICT = """\
apiVersion: v3.1.0
kind: DataContract
name: sizes
version: 1.0.0
servers:
  - {server: here, type: local, path: data/sizes.csv, format: csv}
schema:
  - name: sizes
    properties:
      - name: size
        logicalType: integer
        logicalTypeOptions: {minimum: 0}
      - {name: word, logicalType: string}
customProperties:
  - property: assay.checks
    value: {pii: {deny_file: names.txt}, duplicates: {test: test.csv}}
"""
LAX = STRICT.replace("integer", "string").replace("        logicalTypeOptions: {minimum: 0}\n", "")
BROKEN, BELOW = 7, 11  # the row that is no number, the one below the minimum


def rows(first, last):
    return "size,word\n" + "".join(f"{n},word{n}\n" for n in range(first, last))


@pytest.fixture
def home(tmp_path):
    """A contract in a folder of its own, not the working folder, with all that it names."""
    place = tmp_path / "home"
    (place / "data").mkdir(parents=True)
    (place / "mine.yaml").write_text(STRICT)
    lines = rows(0, 60).splitlines()
    lines[1 + BROKEN], lines[1 + BELOW] = "seven,word7", "-11,word11"
    (place / "data" / "sizes.csv").write_text("\n".join(lines) + "\n")
    (place / "test.csv").write_text(rows(1000, 1040))
    (place / "names.txt").write_text("Quentin Quist\n")
    return place


@pytest.fixture
def staged(home, tmp_path):
    """What a run has prepared and staged: (prepared, staged contract, plan)."""
    prepared = prepare(Request(home / "mine.yaml", tmp_path / "store"))
    plan = Plan("1", tmp_path / "work", prepared.sources, (), "serial")
    for folder in (plan.out, plan.scratch):
        folder.mkdir(parents=True)
    made = staged_contract.stage(prepared.document, prepared.contract, plan.out)
    return prepared, made, plan


def swap(path, text):
    """Put another file in the place of one, as an editor does."""
    other = path.with_name("other")
    other.write_text(text)
    other.replace(path)


def read(contract, plan):
    child = reading.started("read_sources")
    try:
        return reading.ask(
            child, timeout=60, contract=contract.arguments(), sources=list(plan.sources),
            reference=list(plan.reference), folder=str(plan.snapshot),
        )  # fmt: skip
    finally:
        child.stop()


def ruled(contract, plan):
    child = Child("pipelines.run.contract_rules:run_rules")
    try:
        return child.call(
            timeout=120, contract=contract.arguments(),
            snapshot=str(plan.snapshot / "source"), out=str(plan.out),
        )  # fmt: skip
    finally:
        child.stop()


def signer():
    return keys.own(make=True)


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_both_children_run_the_contract_that_was_read_not_the_one_in_its_place(home, staged):
    _, contract, plan = staged
    swap(home / "mine.yaml", LAX)
    parsed = [read(contract, plan), ruled(contract, plan)["parsed"]]
    assert parsed == [sha256(STRICT)] * 2
    contract.require_one(parsed)
    held = Snapshot.load(plan.snapshot / "source" / "snapshot.json").held
    assert read_table(held)[ROW].to_pylist() == [BROKEN]  # to the lax one it is a text
    found = read_table(plan.out / "findings-contract.parquet")
    below = found.filter(pc.equal(found["column"], "size"))
    assert below["row"].drop_null().to_pylist() == [BELOW]  # the lax one has no minimum
    assert (plan.snapshot / "test" / "snapshot.json").is_file()  # found beside the original


@pytest.mark.parametrize("child", [read, ruled])
def test_a_child_refuses_a_staged_contract_that_is_another_one(home, staged, child):
    _, contract, plan = staged
    Path(contract.file).write_text(LAX)
    with pytest.raises(AssayError, match="I013") as caught:
        child(contract, plan)
    assert caught.value.where == str(home / "mine.yaml")  # not the staging folder
    Path(contract.file).unlink()
    with pytest.raises(AssayError, match="I013"):
        child(contract, plan)


def test_a_child_s_contract_is_the_parent_s_in_every_word(staged, home, monkeypatch):
    prepared, contract, _ = staged
    monkeypatch.chdir(home / "data")
    assert contract.load() == prepared.contract
    assert contract.load().path == str(home / "mine.yaml")
    assert {rule.where.split(":")[0] for rule in contract.load().rules} == {"mine.yaml"}


def test_the_staged_copy_is_private_and_never_written_through_a_link(staged, tmp_path):
    prepared, contract, plan = staged
    assert Path(contract.file).stat().st_mode & 0o777 == 0o600
    like = plan.out / "like"
    like.touch(0o640)
    staged_contract.share(plan.out, like)
    assert Path(contract.file).stat().st_mode == like.stat().st_mode
    Path(contract.file).unlink()
    Path(contract.file).symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError):
        staged_contract.stage(prepared.document, prepared.contract, plan.out)
    assert not (tmp_path / "target").exists()


def test_the_commit_refuses_a_contract_that_is_not_the_recorded_one(staged, tmp_path):
    prepared, contract, plan = staged
    with pytest.raises(AssayError, match="I013"):
        contract.require_one([contract.sha256, sha256(LAX)])
    Path(contract.file).write_text(LAX)
    facts = {"kind": "run", "contract": commit.contract_facts(prepared.contract)}
    store = Store(tmp_path / "store")
    with pytest.raises(AssayError, match="I013"):
        Committer.of(store, "2026-01-01T00:00:00+00:00").commit_run(plan.out, facts, lambda _: {})
    with pytest.raises(AssayError, match="I013"):
        staged_contract.recorded(facts, plan.out)
    assert not store.ledger.numbers()


def test_a_whole_run_is_under_the_contract_that_was_read_first(home, tmp_path, monkeypatch):
    """The strict contract is swapped once it is prepared and never comes back."""

    def prepared(request):
        made = prepare(request)
        swap(home / "mine.yaml", LAX)
        return made

    monkeypatch.setattr(execution, "prepare", prepared)
    store = Store(tmp_path / "store")
    made = execution.execute(Request(home / "mine.yaml", store.folder, direct=True), Progress())
    facts = made.entry.facts
    assert facts["contract"]["sha256"] == sha256(STRICT)
    assert facts["contract"]["path"] == str(home / "mine.yaml")
    kept = made.folder / "contract.yaml"
    assert kept.read_text() == STRICT
    assert kept.stat().st_mode == (made.folder / "manifest.json").stat().st_mode
    assert {BROKEN, BELOW} <= {
        row for file in (made.folder / "quarantine").iterdir()
        for row in read_table(file)["_row"].to_pylist()
    }  # fmt: skip
    assert cli.main(["verify", "--store", str(store.folder)]) == 0
    found = pa.concat_tables([read_table(f) for f in (made.folder / "findings").iterdir()])
    assert not pc.any(pc.is_in(found["rule"], pa.array(["ASSAY-K001"]))).as_py()


def test_a_contract_is_read_through_a_link_in_its_folder_only(home, tmp_path):
    (home / "link.yaml").symlink_to("mine.yaml")
    assert loader.load(home / "link.yaml").path == str(home / "mine.yaml")
    (tmp_path / "away").mkdir()
    (tmp_path / "away" / "link.yaml").symlink_to(home / "mine.yaml")
    with pytest.raises(AssayError, match="C011") as caught:
        loader.load(tmp_path / "away" / "link.yaml")
    assert "leaves its folder" in caught.value.what
    (tmp_path / "folder").symlink_to(home)
    assert loader.load(tmp_path / "folder" / "mine.yaml").path == str(home / "mine.yaml")


def test_a_release_is_made_under_the_recorded_contract(home, tmp_path):
    store = Store(tmp_path / "store")
    entry = runs.committed(store, home / "mine.yaml", home / "data" / "sizes.csv")
    made = store.run_folder(entry.seq)
    swap(home / "mine.yaml", LAX)
    assert cli.main(["release", "1", "--store", str(store.folder)]) == 0
    assert (store.run_folder(2) / "contract.yaml").read_text() == STRICT
    swap(made / "contract.yaml", LAX)
    assert cli.main(["release", "1", "--store", str(store.folder)]) == 4


# what a contract names beside itself


def test_a_test_set_that_changes_before_it_is_read_is_refused(home, staged):
    prepared, contract, plan = staged
    named = named_files.named_by(prepared.contract, signer)
    read(contract, plan)
    named.require_same(plan)
    swap(home / "test.csv", rows(2000, 2040))
    named.require_same(plan)  # the other one was not read
    shutil.rmtree(plan.snapshot)
    read(contract, plan)
    swap(home / "test.csv", rows(1000, 1040))  # back again, so that a second look sees nothing
    with pytest.raises(AssayError, match=r"I013.*test set"):
        named.require_same(plan)


def test_the_digest_of_a_reference_is_that_of_the_bytes_that_were_read(home, staged):
    _, contract, plan = staged
    (home / "ref.csv").write_text(rows(0, 40))
    given = Plan("1", plan.work, plan.sources, (str(home / "ref.csv"),), "serial")
    swap(home / "ref.csv", rows(0, 41))
    read(contract, given)
    swap(home / "ref.csv", rows(0, 42))
    [told] = given.reference_facts()
    assert told == {"name": str(home / "ref.csv"), "sha256": sha256(rows(0, 41))}


def test_an_anchored_reference_that_is_swapped_after_the_comparison_is_refused(home, tmp_path):
    store = Store(tmp_path / "store")
    entry = runs.committed(store, home / "mine.yaml", home / "data" / "sizes.csv")
    assert cli.main(["review", "1", "--anchor", "--store", str(store.folder)]) == 0
    prepared = prepare(Request(home / "mine.yaml", store.folder))
    [file] = reference_anchor.standing(store, "sizes").entry.facts["files"]
    assert prepared.reference == (str(store.run_folder(entry.seq) / file["name"]),)
    prepared.require_anchored([{"name": "x", "sha256": file["sha256"]}])
    with pytest.raises(AssayError, match="I013"):
        prepared.require_anchored([{"name": "x", "sha256": "0" * 64}])


def test_only_the_deny_list_that_was_digested_is_searched_with(home):
    named = named_files.named_by(loader.load(home / "mine.yaml"), signer)
    assert set(named.digests) == {"pii.deny_file", "duplicates.test"}
    path, before = home / "names.txt", (home / "names.txt").stat()
    path.write_text("Quentin Quire\n")  # of the same length, and with the time set back
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(AssayError, match="I013") as caught:
        ready(settings_of(named.contract))
    assert "Qui" not in str(caught.value)
    swap(path, "Quentin Quist\n")
    ready(settings_of(named.contract))
    path.unlink()
    ready(settings_of(named.contract))  # read once, and never from the disk again
    assert len(deny_list.names_of([], str(path), settings_of(named.contract).deny_file_sha256)) == 1


def test_a_deny_list_that_turns_up_after_the_digest_is_not_used(home):
    (home / "names.txt").unlink()
    named = named_files.named_by(loader.load(home / "mine.yaml"), signer)
    assert named.digests == {}
    (home / "names.txt").write_text("Quentin Quist\n")
    with pytest.raises(AssayError, match="I013"):
        ready(settings_of(named.contract))
    (home / "names.txt").unlink()
    os.mkfifo(home / "names.txt")  # nobody writes into it
    assert named_files.named_by(loader.load(home / "mine.yaml"), signer).digests == {}


def test_a_contract_cannot_bind_a_deny_list_itself(home):
    (home / "mine.yaml").write_text(
        STRICT.replace("{deny_file", "{deny_file_sha256: abc, deny_file")
    )
    with pytest.raises(AssayError, match="C004"):
        loader.load(home / "mine.yaml")


def test_a_model_that_is_swapped_and_put_back_is_refused(home, staged):
    (home / "people").mkdir()
    (home / "people" / "config.cfg").write_text("one")
    swap(home / "mine.yaml", STRICT.replace("deny_file: names.txt", "model: ./people"))
    _, contract, plan = staged
    read(contract, plan)
    named = named_files.named_by(loader.load(home / "mine.yaml"), signer)
    assert "pii.model" in named.digests
    named.require_same(plan)
    (home / "people").rename(home / "away")
    (home / "away").rename(home / "people")
    with pytest.raises(AssayError, match=r"I013.*model"):
        named.require_same(plan)


def test_a_document_is_read_once(home):
    document = yaml_reader.read(home / "mine.yaml")
    swap(home / "mine.yaml", LAX)
    made = loader.of(document)
    assert (made.sha256, made.path) == (sha256(STRICT), str(home / "mine.yaml"))
    assert made.column("size").spec.logical == "integer"
