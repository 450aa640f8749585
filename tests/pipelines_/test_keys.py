"""Keys: one of the user's own, one from the environment, and a change from each to the next."""

import json
from pathlib import Path

import pytest

from pipelines import cli, config, keys
from pipelines.commit import Committer
from pipelines.store import Store
from provenance import sign, verify

TIME = "2026-01-01T00:00:00+00:00"


def appended(store):
    facts = {"schema": "assay.entry/1", "base": 1, "dataset": "d", "by": "me", "command": {}}
    return Committer.of(store, TIME).commit_access(facts)


def told(capsys, *words):
    capsys.readouterr()
    code = cli.main([*map(str, words), "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    appended(made)
    return made


def breaks(store, key=None):
    trusted = key or keys.own().verifier
    return [b.code for b in verify.verify_ledger(store.ledger, trusted).breaks]


def test_rotation_hands_over_and_keeps_what_was_derived(store, capsys):
    first = keys.own()
    assert told(capsys, "ledger", "rotate", "--store", store.folder)[0] == 0
    second = keys.own()
    assert second.verifier != first.verifier
    assert second.derived("pseudonym") == first.derived("pseudonym")
    appended(store)
    assert breaks(store) == breaks(store, first.verifier) == []
    assert told(capsys, "ledger", "rotate", "--store", store.folder)[0] == 0
    assert keys.own().derived("row-id") == first.derived("row-id")
    assert breaks(store, first.verifier) == []
    folder = config.signing_key().parent
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.iterdir())


def test_another_store_follows(store, tmp_path, capsys):
    other = Store(tmp_path / "other")
    appended(other)
    assert told(capsys, "ledger", "rotate", "--store", store.folder)[0] == 0
    code, found = told(capsys, "ledger", "compact", "--store", other.folder)
    assert (code, found["error"]["code"]) == (4, "ASSAY-L007")
    assert "rotate" in found["error"]["fix"]
    assert told(capsys, "ledger", "rotate", "--store", other.folder)[0] == 0
    appended(other)
    assert breaks(other) == []


@pytest.mark.parametrize("done", [0, 1, 2])
def test_a_change_that_died_is_finished(store, capsys, done, monkeypatch):
    """Stop it before the entry, after it, and between the renames of the key's two files."""
    first, calls = keys.own(), []
    whole = Path.replace

    def dies(self, target):
        calls.append(target)
        if len(calls) > done:
            raise KeyboardInterrupt
        return whole(self, target)

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", dies)
        if not done:
            patch.setattr("provenance.ledger.Ledger.hand_over", stop)
        told(capsys, "ledger", "rotate", "--store", store.folder)
    assert told(capsys, "ledger", "rotate", "--store", store.folder)[0] in (0, 4)
    if keys.own().verifier == first.verifier:
        assert told(capsys, "ledger", "rotate", "--store", store.folder)[0] == 0
    assert keys.own().derived("pseudonym") == first.derived("pseudonym")
    appended(store)
    assert breaks(store, first.verifier) == []


def test_a_key_for_machines_lies_in_the_environment(tmp_path, capsys, monkeypatch):
    sign.load_or_make(tmp_path / "one.pem")
    monkeypatch.setenv("ASSAY_SIGNING_KEY", (tmp_path / "one.pem").read_text())
    store = Store(tmp_path / "store")
    appended(store)
    assert not (config.config_folder() / "signing-key.pem").exists()
    assert breaks(store) == []
    assert told(capsys, "ledger", "rotate", "--store", store.folder)[1]["error"]["code"] == (
        "ASSAY-C012"
    )
    to = tmp_path / "two.pem"
    code, _ = told(capsys, "ledger", "rotate", "--to", to, "--store", store.folder)
    assert code == 0
    monkeypatch.setenv("ASSAY_SIGNING_KEY", str(to))
    appended(store)
    assert breaks(store, sign.load(tmp_path / "one.pem").verifier) == []
    code, found = told(capsys, "ledger", "rotate", "--to", to, "--store", store.folder)
    assert (code, found["error"]["code"]) == (2, "ASSAY-C012")


def test_a_file_of_the_environment_that_is_not_there_is_said_before_a_key_is_made(
    tmp_path, capsys, monkeypatch
):
    path = tmp_path / "keys" / "typo.pem"
    monkeypatch.setenv("ASSAY_SIGNING_KEY", str(path))
    for told in (f"names no file: a new key is made in {path}\n", ""):
        keys.own(make=True)
        assert capsys.readouterr().err.endswith(told)
    assert path.stat().st_mode & 0o077 == 0


def test_a_key_in_the_store_is_refused(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "store"
    sign.load_or_make(folder / "key.pem")
    monkeypatch.setenv("ASSAY_SIGNING_KEY", str(folder / "key.pem"))
    with pytest.raises(Exception, match="is in the store"):
        appended(Store(folder))
    code, found = told(capsys, "ledger", "key", "-o", tmp_path / "none" / "pub.pem")
    assert (code, found["error"]["code"]) == (3, "ASSAY-E003")


def test_the_public_key_is_what_openssl_reads(tmp_path, capsys):
    code, found = told(capsys, "ledger", "key", "-o", tmp_path / "pub.pem")
    assert code == 0
    assert found["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    assert sign.load_public(tmp_path / "pub.pem") == keys.own().verifier
    assert "PRIVATE" not in json.dumps(found)
