"""Who may read what Assay leaves: nobody else, whatever the user's umask says."""

import stat

import crash_scenes as scenes
import pytest
from crash import KILLED

long = pytest.mark.long


@pytest.fixture(scope="module")
def home(warm, tmp_path_factory):
    return scenes.Home(warm, tmp_path_factory.mktemp("modes") / "home")


def modes(*folders):
    """Return every path below some folders with its permissions."""
    return {
        str(path.relative_to(folder.parent)): (path.is_dir(), stat.S_IMODE(path.lstat().st_mode))
        for folder in folders
        for path in [folder, *folder.rglob("*")]
    }


def under(home, mask, *words, **named):
    return home.assay(mask, *words, "--json", call="umasks:assay", **named)


@pytest.mark.parametrize("mask", ["000", *(pytest.param(m, marks=long) for m in ("022", "077"))])
def test_what_commands_leave_is_for_its_owner_alone(home, mask):
    home.take("first run")
    for words in (scenes.RUN, scenes.REVIEW, scenes.RELEASE, ("ledger", "compact")):
        done = under(home, mask, *words)
        assert done.code in (0, 1), done.errors
    seen = modes(home.store, home.config)
    assert len([name for name in seen if "/runs/" in name]) > 20
    open_ = {name: oct(mode) for name, (_, mode) in seen.items() if mode & 0o077}
    assert open_ == {}


def test_what_a_killed_run_leaves_is_for_its_owner_alone(home):
    home.take("first run")
    points = under(home, "000", *scenes.RUN).points
    home.take("first run")
    [point] = [point for point in points if "link store/ledger/entries/0" in str(point)][-1:]
    assert under(home, "000", *scenes.RUN, fault=(str(point), "before")).code == KILLED
    seen = modes(home.store)
    assert any("/staging/" in name for name in seen)
    assert {name: oct(mode) for name, (_, mode) in seen.items() if mode & 0o077} == {}


def test_a_store_shared_with_a_group_is_open_to_it_and_to_nobody_else(home):
    home.take("first run")
    assert under(home, "077", *scenes.RUN, "--share", "group").code in (0, 1)
    assert under(home, "077", *scenes.REVIEW).code == 0
    for name, (is_folder, mode) in modes(home.store).items():
        assert mode & 0o777 == (0o770 if is_folder else 0o660), name
    for path in (home.store / "runs").rglob("*"):
        assert path.stat().st_gid == home.store.stat().st_gid


def test_what_the_user_asks_for_has_the_users_own_umask(home):
    home.take("run")
    for mask, wanted in (("022", 0o644), ("077", 0o600), ("002", 0o664)):
        note = home.folder / f"note-{mask}"
        done = under(home, mask, "ledger", "checkpoint", "-o", note)
        assert done.code == 0, done.errors
        assert stat.S_IMODE(note.stat().st_mode) == wanted
