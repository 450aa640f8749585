"""A ledger that was turned back, cut off, emptied or replaced is told, and no pass of it counts."""

import datetime as dt
import json
import os
import shutil
import threading
from pathlib import Path

import pytest
from gated import Home

from pipelines import config
from pipelines.cli import main
from pipelines.commands import release
from pipelines.run import reuse
from pipelines.run.request import Request, prepare
from pipelines.store import high_water, keys, trust
from pipelines.store.commit import Committer
from pipelines.store.store import Store
from provenance.base import own_code
from provenance.base.errors import AssayError
from provenance.ledger import signing

TIME = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path)


def appended(store, base=1):
    facts = {"schema": "assay.entry/1", "base": base, "dataset": "d", "by": "me", "command": {}}
    return Committer.of(store, TIME).commit_access(facts)


def beside_another(home):
    """Pass in the store `other`, then in the home's own, and look at that."""
    other = Home(home.folder)
    other.store = Store(home.folder / "other")
    other.passed()
    home.passed()
    trust.require_whole(home.store)


def code_of(call, *given):
    with pytest.raises(AssayError) as caught:
        call(*given)
    return caught.value.code.removeprefix("ASSAY-")


def entries(store):
    return store.folder / "ledger" / "entries"


def cut(store):
    (entries(store) / f"{store.ledger.numbers()[-1]:012}.parquet").unlink()


def emptied(store):
    for path in entries(store).iterdir():
        path.unlink()


def test_an_older_copy_of_the_whole_store_shuts_the_gate(home, capsys):
    home.passed()
    shutil.copytree("store", "monday")
    home.passed(verdict="fail")
    shutil.rmtree("store")
    Path("monday").rename("store")
    for words in (
        home.words("--json", command=["touch", "started"]),
        ["release", "1", "--store", "store", "--json"],
        ["run", "c.yaml", "--source", "a.csv", "--store", "store", "--direct", "--json"],
    ):
        capsys.readouterr()
        assert main(words) == 4, words
        error = json.loads(capsys.readouterr().out)["error"]
        assert error["code"] == "ASSAY-L002"
        assert str(config.state_folder()) in error["fix"]
    assert not Path("started").exists()
    assert code_of(appended, home.store) == "L002"
    # also where the copy lies elsewhere
    Path("store").rename("elsewhere")
    assert code_of(trust.require_whole, Store(Path("elsewhere"))) == "L002"


@pytest.mark.parametrize(
    ("turn", "code"),
    [
        (cut, "L002"),
        (emptied, "L002"),
        (lambda store: shutil.rmtree(store.folder / "ledger"), "L002"),
        (lambda store: [shutil.rmtree(store.folder / n) for n in ("ledger", "runs")], "L002"),
    ],
    ids=["cut", "emptied", "ledger gone", "ledger and runs gone, the marker left"],
)
def test_a_ledger_that_lost_entries_shuts_the_gate(home, turn, code):
    home.passed()
    assert home.gate() == 0
    turn(home.store)
    assert code_of(trust.require_whole, home.store) == code
    assert home.gate(command=["touch", "started"]) == 4
    assert not Path("started").exists()


@pytest.mark.parametrize("turn", [emptied, cut], ids=["emptied", "cut"])
def test_files_without_entries_are_told_to_who_has_seen_nothing(home, monkeypatch, turn):
    home.passed()
    home.passed()
    turn(home.store)
    for name in ("new", "newer"):
        monkeypatch.setenv("XDG_STATE_HOME", str(home.folder / name))
        if turn is cut and name == "new":  # the very next number may be a run's that died
            trust.require_whole(home.store)
            cut(home.store)
    assert code_of(trust.require_whole, home.store) == "L002"


def test_another_history_of_the_same_length_is_told(home):
    home.passed()
    shutil.copytree("store", "branch")
    appended(home.store)
    trust.require_whole(home.store)
    shutil.rmtree("store")
    Path("branch").rename("store")
    state = Path(os.environ["XDG_STATE_HOME"]) / "assay"
    [mark] = (state / "ledgers").iterdir()
    kept = mark.read_bytes()
    mark.unlink()
    appended(home.store, base=2)
    mark.write_bytes(kept)
    assert code_of(trust.require_whole, home.store) == "L008"
    assert code_of(appended, home.store) == "L008"


def test_a_store_that_was_removed_whole_begins_anew(home, capsys):
    home.passed()
    trust.require_whole(home.store)
    shutil.rmtree("store")
    assert trust.require_whole(home.store).entries == 0
    home.passed()
    assert home.gate() == 0
    assert "another ledger" not in capsys.readouterr().err


def test_a_first_run_that_died_after_a_removal_is_no_rollback(home):
    home.passed()
    trust.require_whole(home.store)
    shutil.rmtree("store")
    high_water.forget_if_gone(home.store)
    with home.store.opened():
        pass  # made, and nothing came of it
    assert trust.require_whole(home.store).entries == 0


def test_of_a_store_that_takes_anothers_place_no_pass_is_reused(home, capsys):
    beside_another(home)
    shutil.rmtree("store")
    Path("other").rename("store")
    capsys.readouterr()
    trust.require_whole(home.store)
    assert "ASSAY-L008" in capsys.readouterr().err
    trust.require_whole(home.store)
    assert capsys.readouterr().err == ""
    oldest = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    request = Request(Path("c.yaml"), Path("store"), source="a.csv")
    assert reuse.reusable(request, prepare(request), home.store, oldest) is None
    made = home.passed()
    assert reuse.reusable(request, prepare(request), home.store, oldest) == made


def test_what_was_seen_is_never_lowered_and_is_the_users_alone(home):
    home.passed()
    leaves = trust.require_whole(home.store).leaves
    longest = tuple(bytes([n]) * 32 for n in range(40))
    made = [leaves[:1] + longest[:n] for n in range(1, 40)]
    threads = [
        threading.Thread(target=high_water.remember, args=(home.store, some)) for some in made
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    state = Path(os.environ["XDG_STATE_HOME"]) / "assay"
    [mark] = (state / "ledgers").iterdir()
    assert json.loads(mark.read_text())["size"] == 40
    assert {path.stat().st_mode & 0o777 for path in state.rglob("*.json")} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in [state, mark.parent]} == {0o700}
    assert code_of(trust.require_whole, home.store) == "L002"


def test_two_writers_at_once_are_no_rollback(home):
    home.passed()
    problems = []

    def work():
        try:
            for _ in range(5):
                appended(home.store)
                trust.require_whole(home.store)
        except AssayError as error:
            problems.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert trust.require_whole(home.store).entries == 22


def test_a_state_folder_that_cannot_be_written_is_told_once(home, monkeypatch, capsys):
    home.passed()
    Path("file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(home.folder / "file"))
    capsys.readouterr()
    for _ in range(2):
        assert home.gate() == 0
    told = capsys.readouterr().err
    assert told.count("cannot be used") == 1


def test_what_was_seen_and_cannot_be_read_shuts_the_gate(home):
    home.passed()
    state = Path(os.environ["XDG_STATE_HOME"]) / "assay"
    [mark] = (state / "ledgers").iterdir()
    for content in ("", "[]", '{"schema": "assay.seen/1"}', "{" * 5_000):
        mark.write_text(content)
        assert code_of(trust.require_whole, home.store) == "L012", content[:30]


@pytest.mark.parametrize("how", ["option", "environment"])
def test_a_checkpoint_shuts_the_gate(home, monkeypatch, how, capsys):
    home.passed()
    assert main(["ledger", "checkpoint", "-o", "kept.note", "--store", "store"]) == 0
    options = ("--checkpoint", "kept.note") if how == "option" else ()
    if how == "environment":
        monkeypatch.setenv("ASSAY_CHECKPOINT", "kept.note")
    assert home.gate(*options) == 0
    shutil.rmtree("store")
    monkeypatch.setenv("XDG_STATE_HOME", str(home.folder / "new"))  # only the checkpoint knows
    capsys.readouterr()
    assert home.gate(*options, "--json", command=["touch", "started"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-L002"
    home.passed()
    assert home.gate(*options, "--json", command=["touch", "started"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["code"] in ("ASSAY-L008", "ASSAY-L007")
    assert not Path("started").exists()
    if how == "environment":
        assert main(["verify", "--store", "store", "--json"]) == 4


def test_a_checkpoint_that_is_a_pipe_is_not_waited_for(home):
    home.passed()
    os.mkfifo("pipe")
    assert home.gate("--checkpoint", "pipe", command=["touch", "started"]) == 2
    assert not Path("started").exists()


def test_a_pinned_key_does_not_let_another_begin_a_ledger(home, monkeypatch):
    other = home.folder / "other.pem"
    Path("pinned.pem").write_bytes(signing.load_or_make(other).public_pem())
    monkeypatch.setenv("ASSAY_PUBLIC_KEY", "pinned.pem")
    assert code_of(trust.require_whole, home.store) == "L007"  # there is no key of one's own
    keys.own(make=True)
    assert home.gate(command=["touch", "started"]) == 4
    assert not Path("store").exists()
    monkeypatch.setenv("ASSAY_SIGNING_KEY", str(other))
    assert trust.require_whole(home.store).entries == 0


OLD = "2025-01-01T00:00:00+00:00"


@pytest.mark.parametrize("is_told", [True, False], ids=["as now", "of an earlier version"])
def test_a_release_is_as_old_as_the_checks_it_rests_on(home, monkeypatch, is_told):
    base = home.passed(time=OLD)
    Path("d.csv").write_text("row,decision\n3,reject\n")
    assert main(["review", "1", "--apply", "d.csv", "--store", "store"]) == 0
    if not is_told:
        whole = release._facts
        monkeypatch.setattr(release, "_facts", lambda *given: _earlier(whole(*given)))
    made = release.release(home.store, base).entry
    assert made.facts.get("checked_at") == (OLD if is_told else None)
    request = Request(Path("c.yaml"), Path("store"), source="a.csv")
    now = dt.datetime.now(dt.UTC)
    assert (
        reuse.reusable(request, prepare(request), home.store, now - dt.timedelta(hours=24)) is None
    )
    found = reuse.reusable(request, prepare(request), home.store, now - dt.timedelta(days=30_000))
    assert found == made
    if is_told:
        assert made.facts["code"] == base.facts["code"]
        assert made.facts["released_by"] == own_code.facts()


def _earlier(facts):
    return {key: facts[key] for key in facts if key not in ("checked_at", "released_by")}


def test_a_release_of_what_other_code_checked_is_not_reused(home):
    base = home.passed(code={"version": "0.0.1", "sha256": "0" * 64})
    Path("d.csv").write_text("row,decision\n3,reject\n")
    assert main(["review", "1", "--apply", "d.csv", "--store", "store"]) == 0
    release.release(home.store, base)
    oldest = dt.datetime.now(dt.UTC) - dt.timedelta(hours=24)
    request = Request(Path("c.yaml"), Path("store"), source="a.csv")
    assert reuse.reusable(request, prepare(request), home.store, oldest) is None


def test_a_store_that_takes_the_place_of_a_removed_one_is_another_one_still(home, capsys):
    beside_another(home)
    shutil.rmtree("store")
    high_water.forget_if_gone(home.store)  # as a command does that is refused before it commits
    Path("other").rename("store")
    trust.require_whole(home.store)
    assert "ASSAY-L008" in capsys.readouterr().err
    assert high_water.reusable_from(home.store) == len(home.store.ledger.numbers())


def test_verify_tells_of_a_ledger_that_was_turned_back(home, capsys):
    home.passed()
    home.passed()
    trust.require_whole(home.store)
    cut(home.store)
    shutil.rmtree(home.store.run_folder(2))
    assert main(["verify", "--store", "store", "--json"]) == 4
    [told] = json.loads(capsys.readouterr().out)["breaks"]
    assert told["code"] == "ASSAY-L002"


@pytest.mark.parametrize("name", ["XDG_STATE_HOME", "XDG_CONFIG_HOME"])
def test_without_a_home_folder_assay_says_what_to_set(home, monkeypatch, capsys, name):
    home.passed()
    key = config.signing_key()
    monkeypatch.delenv(name)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.setattr("pwd.getpwuid", lambda _: (_ for _ in ()).throw(KeyError("uid")))
    if name == "XDG_CONFIG_HOME":
        assert main(["verify", "--store", "store", "--json"]) == 3
        assert "XDG_CONFIG_HOME" in json.loads(capsys.readouterr().out)["error"]["fix"]
        monkeypatch.setenv("ASSAY_SIGNING_KEY", str(key))
    assert main(["verify", "--store", "store"]) == 0
    assert home.gate() == 0
