"""Keys: one of the user's own, one from the environment, and a change from each to the next."""

import json
import os
import shlex
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from pipelines import cli, config
from pipelines.store import high_water, keys, trust
from pipelines.store.commit import Committer
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.ledger import signing, verify

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
            patch.setattr("provenance.ledger.ledger.Ledger.hand_over", stop)
        told(capsys, "ledger", "rotate", "--store", store.folder)
    assert told(capsys, "ledger", "rotate", "--store", store.folder)[0] in (0, 4)
    if keys.own().verifier == first.verifier:
        assert told(capsys, "ledger", "rotate", "--store", store.folder)[0] == 0
    assert keys.own().derived("pseudonym") == first.derived("pseudonym")
    appended(store)
    assert breaks(store, first.verifier) == []


def test_a_key_for_machines_lies_in_the_environment(tmp_path, capsys, monkeypatch):
    signing.load_or_make(tmp_path / "one.pem")
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
    assert breaks(store, signing.load(tmp_path / "one.pem").verifier) == []
    code, found = told(capsys, "ledger", "rotate", "--to", to, "--store", store.folder)
    assert (code, found["error"]["code"]) == (2, "ASSAY-C012")


def test_a_file_of_the_environment_that_is_not_there_is_said_before_a_key_is_made(
    tmp_path, capsys, monkeypatch
):
    path = tmp_path / "keys" / "typo.pem"
    monkeypatch.setenv("ASSAY_SIGNING_KEY", str(path))
    for told in (f"a new key in {path}\n", ""):
        keys.own(make=True)
        assert capsys.readouterr().err.endswith(told)
    assert path.stat().st_mode & 0o077 == 0


def test_a_key_in_the_store_is_refused(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "store"
    signing.load_or_make(folder / "key.pem")
    monkeypatch.setenv("ASSAY_SIGNING_KEY", str(folder / "key.pem"))
    with pytest.raises(Exception, match="E003"):
        appended(Store(folder))
    code, found = told(capsys, "ledger", "key", "-o", tmp_path / "none" / "pub.pem")
    assert (code, found["error"]["code"]) == (3, "ASSAY-E003")


def test_the_public_key_is_what_openssl_reads(tmp_path, capsys):
    code, found = told(capsys, "ledger", "key", "-o", tmp_path / "pub.pem")
    assert code == 0
    assert found["public_key"].startswith("-----BEGIN PUBLIC KEY-----")
    assert signing.load_public(tmp_path / "pub.pem") == keys.own().verifier
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
    signing.load_or_make(folder / "one.pem")
    return folder / "one.pem"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_key_that_others_can_read_or_write_signs_nothing(key, mode):
    key.chmod(mode)
    with pytest.raises(AssayError, match="other users can read or write it") as raised:
        signing.load(key)
    assert raised.value.code == "ASSAY-E003"
    assert raised.value.fix == f"chmod 600 {shlex.quote(str(key))}"
    subprocess.run(raised.value.fix, shell=True, check=True)  # noqa: S602  what a person would do
    signing.load(key)


def test_the_secret_that_an_earlier_key_left_is_as_safe_as_the_key(key):
    signing.leave_secret(signing.load(key), key)
    signing.load(key)
    signing.secret_path(key).chmod(0o644)
    with pytest.raises(AssayError, match="secret of an earlier signing key cannot be trusted"):
        signing.load(key)


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_key_in_a_folder_where_others_can_put_another_is_refused(key, tmp_path, mode):
    link = tmp_path / "link.pem"
    link.symlink_to(key)
    key.parent.chmod(mode)
    for way in (key, link):
        with pytest.raises(AssayError, match="another file in its place"):
            signing.load(way)
    key.parent.chmod(mode | stat.S_ISVTX)  # as /tmp: who does not own a file cannot replace it
    signing.load(link)


def test_a_key_of_another_user_or_behind_a_link_of_one_is_refused(key, tmp_path):
    stranger, link = other(), tmp_path / "link.pem"
    link.symlink_to(key)
    signing.load(link)
    os.lchown(link, stranger, -1)
    with pytest.raises(AssayError, match="the link to it is another user's"):
        signing.load(link)
    os.chown(key, stranger, -1)
    with pytest.raises(AssayError, match="it is another user's"):
        signing.load(key)
    os.chown(key, 0, -1)
    os.chown(key.parent, stranger, -1)
    with pytest.raises(AssayError, match="another file in its place"):
        signing.load(key)


def test_an_ordinary_user_may_use_a_key_of_root_but_not_of_a_third(key, monkeypatch):
    stranger = other()
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    signing.load(key)  # root reads and writes everything anyhow
    os.chown(key, stranger, -1)
    os.chown(key.parent, stranger, -1)
    signing.load(key)
    os.chown(key, stranger + 1, -1)
    with pytest.raises(AssayError, match="another user's"):
        signing.load(key)


def test_a_key_comes_through_a_pipe_that_has_no_name(key):
    reading, writing = os.pipe()
    os.write(writing, key.read_bytes())
    os.close(writing)
    try:
        assert signing.load(Path(f"/dev/fd/{reading}")).verifier == signing.load(key).verifier
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


def test_a_new_key_is_not_made_where_it_would_be_refused(store, tmp_path, capsys):
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o777)
    words = ("ledger", "rotate", "--to", shared / "two.pem", "--store", store.folder)
    code, found = told(capsys, *words)
    assert (code, found["error"]["code"]) == (3, "ASSAY-E003")
    assert list(shared.iterdir()) == []
    shared.chmod(0o700)
    assert told(capsys, *words)[0] == 0


def test_nobody_is_advised_to_lock_the_owner_of_a_key_out(key, monkeypatch):
    stranger = other()
    os.chown(key, stranger, -1)
    with pytest.raises(AssayError, match="another user's") as raised:
        signing.load(key)
    assert "chown" not in raised.value.fix
    assert f"uid {stranger}" in raised.value.fix
    os.chown(key, 0, -1)
    key.chmod(0o444)
    with monkeypatch.context() as patch:  # a secret of root's: to make it 0600 would lock us out
        patch.setattr(os, "geteuid", lambda: stranger)
        with pytest.raises(AssayError, match="can read or write it") as raised:
            signing.load(key)
    assert "`mode: 0400`" in raised.value.fix
    read_only = type("Mounted", (), {"f_flag": os.ST_RDONLY})
    monkeypatch.setattr(os, "statvfs", lambda _: read_only)
    with pytest.raises(AssayError, match="can read or write it") as raised:
        signing.load(key)
    assert "copy it to a private file" in raised.value.fix


@pytest.mark.parametrize("way", ["rotate", "compact"])
def test_what_appends_without_a_run_is_seen_and_extends_no_older_copy(store, tmp_path, capsys, way):
    for _ in range(2):
        appended(store)
    shutil.copytree(store.folder, tmp_path / "older")
    assert told(capsys, "ledger", way, "--store", store.folder)[0] == 0
    size = store.ledger.head().seq + 1
    assert high_water.Remembered.before(store).mark.size == size
    shutil.rmtree(store.folder)
    (tmp_path / "older").rename(store.folder)
    before = store.ledger.numbers()
    code, found = told(capsys, "ledger", "rotate", "--store", store.folder)
    # the key that took over is another one, but what was seen of the ledger is told all the same
    assert (code, found["error"]["code"]) == (4, "ASSAY-L002")
    assert store.ledger.numbers() == before


def test_a_rotation_asks_the_checkpoint_that_was_kept_and_the_runs_that_lie_there(
    store, tmp_path, capsys, monkeypatch
):
    for _ in range(2):
        appended(store)
    note = tmp_path / "kept.note"
    assert told(capsys, "ledger", "checkpoint", "-o", note, "--store", store.folder)[0] == 0
    store.ledger.path_of(store.ledger.head().seq).unlink()
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "of another user"))
    with monkeypatch.context() as patch:
        patch.setenv("ASSAY_CHECKPOINT", str(note))
        code, found = told(capsys, "ledger", "rotate", "--store", store.folder)
        assert (code, found["error"]["code"]) == (4, "ASSAY-L002")
    store.run_folder(9).mkdir(parents=True)
    code, found = told(capsys, "ledger", "rotate", "--store", store.folder)
    assert (code, found["error"]["code"]) == (4, "ASSAY-L002")
    store.run_folder(9).rmdir()
    assert told(capsys, "ledger", "rotate", "--store", store.folder)[0] == 0


@pytest.mark.parametrize("sharing", ["group", "private"])
def test_whose_dead_run_blocks_a_shared_store_is_told(tmp_path, sharing):
    stranger, store = other(), Store(tmp_path / "shared", sharing=sharing)
    appended(store)
    number = store.ledger.head().seq + 1
    store.run_folder(number).mkdir(parents=True)
    os.chown(store.run_folder(number), stranger, -1)
    with pytest.raises(AssayError, match="in the place of the next run") as raised:
        appended(store)
    assert raised.value.code == "ASSAY-L013"
    is_told = f"user {stranger}" in raised.value.what and f"user {stranger}" in raised.value.fix
    assert is_told == (sharing == "group")
    os.chown(store.run_folder(number), os.geteuid(), -1)
    appended(store)
