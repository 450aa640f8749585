"""Keys: one of the user's own, one from the environment, and a change from each to the next."""

import json
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from pipelines import cli, config, keys, trust
from pipelines.commit import Committer
from pipelines.store import Store
from provenance import sign, verify
from provenance.errors import AssayError

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


def other():
    """Return a user id that is neither ours nor root's, or skip: only root can give files away."""
    if os.geteuid():
        pytest.skip("needs root")
    return 12345


@pytest.fixture
def key(tmp_path):
    folder = tmp_path / "it's keys"
    folder.mkdir(mode=0o700)
    sign.load_or_make(folder / "one.pem")
    return folder / "one.pem"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_can_read_or_write_signs_nothing(key, mode):
    key.chmod(mode)
    with pytest.raises(AssayError, match="other users can read or write it") as raised:
        sign.load(key)
    assert raised.value.code == "ASSAY-E003"
    assert raised.value.fix == f"chmod 600 {shlex.quote(str(key))}"
    subprocess.run(raised.value.fix, shell=True, check=True)  # noqa: S602  what a person would do
    sign.load(key)


def test_the_secret_that_an_earlier_key_left_is_as_safe_as_the_key(key):
    sign.leave_secret(sign.load(key), key)
    sign.load(key)
    sign.secret_path(key).chmod(0o644)
    with pytest.raises(AssayError, match="secret of an earlier signing key cannot be trusted"):
        sign.load(key)


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_key_in_a_folder_where_others_can_put_another_is_refused(key, tmp_path, mode):
    link = tmp_path / "link.pem"
    link.symlink_to(key)
    key.parent.chmod(mode)
    for way in (key, link):
        with pytest.raises(AssayError, match="another file in its place"):
            sign.load(way)
    key.parent.chmod(mode | stat.S_ISVTX)  # as /tmp: who does not own a file cannot replace it
    sign.load(link)


def test_a_key_of_another_user_or_behind_a_link_of_one_is_refused(key, tmp_path):
    stranger, link = other(), tmp_path / "link.pem"
    link.symlink_to(key)
    sign.load(link)
    os.lchown(link, stranger, -1)
    with pytest.raises(AssayError, match="the link to it is another user's"):
        sign.load(link)
    os.chown(key, stranger, -1)
    with pytest.raises(AssayError, match="it is another user's"):
        sign.load(key)
    os.chown(key, 0, -1)
    os.chown(key.parent, stranger, -1)
    with pytest.raises(AssayError, match="another file in its place"):
        sign.load(key)


def test_an_ordinary_user_may_use_a_key_of_root_but_not_of_a_third(key, monkeypatch):
    stranger = other()
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    sign.load(key)  # root reads and writes everything anyhow
    os.chown(key, stranger, -1)
    os.chown(key.parent, stranger, -1)
    sign.load(key)
    os.chown(key, stranger + 1, -1)
    with pytest.raises(AssayError, match="another user's"):
        sign.load(key)


def test_a_key_comes_through_a_pipe_that_has_no_name(key):
    reading, writing = os.pipe()
    os.write(writing, key.read_bytes())
    os.close(writing)
    try:
        assert sign.load(Path(f"/dev/fd/{reading}")).verifier == sign.load(key).verifier
    finally:
        os.close(reading)


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_a_pinned_key_that_others_can_write_pins_nothing(tmp_path, capsys, monkeypatch, mode):
    before = os.umask(0o002)
    try:
        assert told(capsys, "ledger", "key", "-o", tmp_path / "pub.pem")[0] == 0
    finally:
        os.umask(before)
    monkeypatch.setenv("ASSAY_PUBLIC_KEY", str(tmp_path / "pub.pem"))
    assert trust.trusted() == keys.own().verifier  # what `ledger key` wrote can be pinned
    (tmp_path / "pub.pem").chmod(mode)
    with pytest.raises(AssayError, match="E003") as raised:
        trust.trusted()
    assert raised.value.fix == f"chmod go-w {tmp_path / 'pub.pem'}"


def test_the_doctor_says_what_a_run_would_refuse(capsys):
    keys.own(make=True)
    config.signing_key().chmod(0o644)
    code, found = told(capsys, "doctor")
    line = next(line for line in found["lines"] if line["name"] == "key")
    assert (code, line["ok"]) == (3, False)
    assert line["fix"] == f"chmod 600 {config.signing_key()}"
