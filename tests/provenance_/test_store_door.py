"""The door to a store: whose folder it may be, what it refuses, what it leaves untouched."""

import json
import os
import stat
import threading

import pytest

from provenance.base import no_follow, store_door
from provenance.base.errors import AssayError
from provenance.base.store_door import FOLDERS, MARKER

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")


def everything(folder):
    """Return kind, mode, times and content of all below a folder, and of itself."""
    told = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        found = path.lstat()
        is_file = stat.S_ISREG(found.st_mode)
        content = path.read_bytes() if is_file else b""
        told[str(path)] = found.st_mode, found.st_mtime_ns, found.st_ctime_ns, content
    return told


def refused(path, **given):
    with pytest.raises(AssayError) as caught, store_door.opened(path, **given):
        pass
    return caught.value


def test_a_first_opening_makes_a_private_store_with_a_marker(tmp_path):
    with store_door.opened(tmp_path / "a" / "store") as door:
        assert door.sharing == "private"
        (door.path / "file").touch()
        (door.path / "folder").mkdir()
    store = tmp_path / "a" / "store"
    assert stat.S_IMODE(store.stat().st_mode) == 0o700
    assert stat.S_IMODE((store / "file").stat().st_mode) == 0o600
    assert stat.S_IMODE((store / "folder").stat().st_mode) == 0o700
    told = json.loads((store / MARKER).read_text())
    assert told == {"schema": "assay.store/1", "sharing": "private"}


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_the_users_own_umask_is_back_afterwards(tmp_path, mask):
    before = os.umask(mask)
    try:
        with store_door.opened(tmp_path / "one"), store_door.opened(tmp_path / "two"):
            assert store_door.own_umask() == mask
        assert os.umask(mask) == mask
    finally:
        os.umask(before)


def test_doors_that_close_out_of_order_leave_the_umask_as_it_was(tmp_path):
    before = os.umask(0o022)
    try:
        one, two = (store_door.opened(tmp_path / name) for name in "ab")
        one.__enter__()
        two.__enter__()
        one.__exit__(None, None, None)
        assert os.umask(0o077) == 0o077
        two.__exit__(None, None, None)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


def test_a_folder_of_somebody_elses_is_refused_and_untouched(tmp_path):
    for name in (*FOLDERS, "staging/" + "0" * 32, "resume/" + "0" * 64, "runs/000000000001"):
        (tmp_path / "home" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "home" / name / "mine.txt").write_text("mine")
    before = everything(tmp_path)
    assert refused(tmp_path / "home").code == "ASSAY-E108"
    assert everything(tmp_path) == before


@pytest.mark.parametrize(
    "content", [b"{}", b"[]", b"\xff", b'{"schema": "x"}', b"{" * 9999, b"[" * 4000, b""]
)
def test_a_marker_that_is_not_ours_is_none(tmp_path, content):
    (tmp_path / MARKER).write_bytes(content)
    (tmp_path / "mine.txt").write_text("mine")
    before = everything(tmp_path)
    assert refused(tmp_path).code == "ASSAY-E108"
    assert everything(tmp_path) == before


@pytest.mark.parametrize("length", [0, 1, 30])
def test_a_marker_that_a_dead_first_run_left_half_written_is_written_anew(tmp_path, length):
    (tmp_path / MARKER).write_bytes(b'{"schema": "assay.store/1", "sharing": "private"}'[:length])
    store_door.refuse_foreign(tmp_path)
    with store_door.opened(tmp_path):
        assert store_door.is_marked(tmp_path)


def test_a_marker_that_is_a_pipe_or_a_link_is_not_written_through(tmp_path):
    (tmp_path / "store").mkdir()
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "store" / MARKER).symlink_to(tmp_path / "precious")
    assert refused(tmp_path / "store").code == "ASSAY-E108"
    assert (tmp_path / "precious").read_text() == "mine"


def test_folders_above_a_store_may_be_symlinks(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for _ in range(2):
        with store_door.opened(tmp_path / "link" / "a" / "store"):
            pass
    assert store_door.is_marked(tmp_path / "real" / "a" / "store")


def test_what_the_block_raises_is_its_own(tmp_path):
    with pytest.raises(FileNotFoundError), store_door.opened(tmp_path / "store", make=True):
        raise FileNotFoundError
    with pytest.raises(FileNotFoundError), store_door.opened(tmp_path / "store", make=False):
        raise FileNotFoundError


def test_one_refusal_tells_how_to_close_a_whole_store(tmp_path):
    with store_door.opened(tmp_path / "a store"):
        for folder in FOLDERS:
            (tmp_path / "a store" / folder).mkdir(exist_ok=True)
    for path in (tmp_path / "a store").rglob("*"):
        path.chmod(0o777)
    told = refused(tmp_path / "a store").fix
    assert told.endswith(f"chmod -R go-w '{tmp_path}/a store'")


@pytest.mark.parametrize("kind", ["link to a folder", "dangling link", "pipe", "file"])
@pytest.mark.parametrize("name", ["", *FOLDERS])
def test_what_stands_where_a_folder_belongs_is_refused_and_not_followed(tmp_path, name, kind):
    store, home = tmp_path / "store", tmp_path / "home"
    home.mkdir()
    (home / "precious").write_text("mine")
    with store_door.opened(store):
        for folder in FOLDERS:
            (store / folder).mkdir(exist_ok=True)
    place = store / name
    place.rename(tmp_path / "aside")
    if "link" in kind:
        place.symlink_to(home if kind == "link to a folder" else tmp_path / "nowhere")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.write_text("a file")
    before = everything(tmp_path)
    assert refused(store).code == "ASSAY-E109"
    with pytest.raises(AssayError) as caught:
        store_door.require_regular(store)
    assert caught.value.code == ("ASSAY-L013" if name else "ASSAY-E109")
    assert everything(tmp_path) == before


@pytest.mark.parametrize("name", ["", MARKER, *FOLDERS])
def test_what_others_may_write_to_is_refused(tmp_path, name):
    with store_door.opened(tmp_path / "store") as door:
        for folder in FOLDERS:
            (door.path / folder).mkdir(exist_ok=True)
    place = tmp_path / "store" / name
    for mode in (0o020, 0o002):
        usual = stat.S_IMODE(place.stat().st_mode)
        place.chmod(usual | mode)
        assert refused(tmp_path / "store").code == "ASSAY-E109"
        place.chmod(usual)
    with store_door.opened(tmp_path / "store"):
        pass


@needs_root
@pytest.mark.parametrize("name", ["", MARKER, "staging", "ledger/entries"])
def test_what_belongs_to_another_user_is_refused(tmp_path, name):
    with store_door.opened(tmp_path / "store") as door:
        for folder in FOLDERS:
            (door.path / folder).mkdir(exist_ok=True)
    os.chown(tmp_path / "store" / name, NOBODY, NOBODY)
    assert refused(tmp_path / "store").code == "ASSAY-E109"


def test_sharing_with_a_group_is_recorded_and_holds(tmp_path):
    with store_door.opened(tmp_path / "store", sharing="group"):
        (tmp_path / "store" / "runs").mkdir()
        (tmp_path / "store" / "file").touch()
    assert stat.S_IMODE((tmp_path / "store").stat().st_mode) == 0o2770
    assert stat.S_IMODE((tmp_path / "store" / "runs").stat().st_mode) & 0o777 == 0o770
    assert stat.S_IMODE((tmp_path / "store" / "file").stat().st_mode) == 0o660
    with store_door.opened(tmp_path / "store") as door:
        assert door.sharing == "group"
    assert refused(tmp_path / "store", sharing="private").code == "ASSAY-C012"
    (tmp_path / "store" / "runs").chmod(0o777)
    assert refused(tmp_path / "store").code == "ASSAY-E109"


def test_a_store_that_is_replaced_while_it_is_open_is_noticed(tmp_path):
    with store_door.opened(tmp_path / "store") as door:
        door.require_here()
        (tmp_path / "store").rename(tmp_path / "aside")
        (tmp_path / "home").mkdir()
        (tmp_path / "store").symlink_to(tmp_path / "home")
        with pytest.raises(AssayError) as caught:
            door.require_here()
    assert caught.value.code == "ASSAY-E109"
    assert list((tmp_path / "home").iterdir()) == []


def test_no_store_is_made_where_none_is_asked_for(tmp_path):
    assert refused(tmp_path / "store", make=False).code == "ASSAY-C013"
    assert list(tmp_path.iterdir()) == []


def test_many_first_openings_at_once_agree(tmp_path):
    failed = []

    def enter():
        try:
            with store_door.opened(tmp_path / "store") as door:
                (door.path / "runs").mkdir(exist_ok=True)
        except BaseException as error:  # noqa: BLE001
            failed.append(error)

    threads = [threading.Thread(target=enter) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert store_door.is_marked(tmp_path / "store")


def test_a_store_that_appears_between_two_looks_is_opened(tmp_path, monkeypatch):
    is_new = store_door._is_new
    elsewhere = tmp_path / "store"

    def another_run_first(descriptor):
        monkeypatch.setattr(store_door, "_is_new", is_new)
        with store_door.opened(elsewhere) as door:
            (door.path / "runs").mkdir()
        return is_new(descriptor)

    elsewhere.mkdir()
    monkeypatch.setattr(store_door, "_is_new", another_run_first)
    with store_door.opened(elsewhere) as door:
        assert door.names(".") == ["runs", "store.json"]


def test_only_regular_files_and_real_folders_are_removed(tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "precious").write_text("mine")
    place = tmp_path / "place"
    (place / "folder" / "deep").mkdir(parents=True)
    (place / "folder" / "deep" / "link").symlink_to(tmp_path / "home")
    (place / "file").touch()
    (place / "link").symlink_to(tmp_path / "home")
    os.mkfifo(place / "pipe")
    with no_follow.folder(place) as folder:
        gone = {name: no_follow.remove(name, folder) for name in ("folder", "file", "link", "pipe")}
    assert gone == {"folder": True, "file": True, "link": False, "pipe": False}
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["precious"]
