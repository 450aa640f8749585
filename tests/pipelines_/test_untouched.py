"""Other people's files: no command changes, reads into its own work or removes one of them.

A tree of 200 files stands under every name that Assay uses; it is given as the store, its folders
are linked to from a store, and its files lie in a store under names that are not Assay's.
"""

import hashlib
import os
import shutil
import stat

import crash_scenes as scenes
import pytest
from crash import KILLED

RUN_ID, WORK = "0123456789abcdef" * 2, "0123456789abcdef" * 4
PLACES = (
    "", "ledger", "ledger/entries", "ledger/segments", "ledger/tmp", "runs", "runs/000000000001",
    "runs/000000000002/clean", "reviews", "reference", "staging", f"staging/{RUN_ID}", "resume",
    f"resume/{WORK}", "nightly", "models", "clean", "quarantine", "out", "scratch",
)  # fmt: skip
NAMES = (
    "000000000000.parquet", "000000000001.parquet", "lock", "compact.lock", f"{RUN_ID}.alive",
    "000000000000.parquet.12-0", "f" * 64, f".{WORK}", "manifest.json", "notes.txt",
)  # fmt: skip
GATE = ("gate", "c.yaml", "--source", "a.csv", "--", "true")
COMMANDS = (
    scenes.RUN, GATE, scenes.REVIEW, scenes.RELEASE, ("verify",), ("review", "1", "--list"),
    ("explain", "1", "3"), ("diff", "1", "2"), ("ledger", "log"), ("ledger", "compact"),
    ("ledger", "rotate"), ("ledger", "checkpoint"), ("review", "1", "--anchor"),
    ("init", "--from", "1", "-o", "new.yaml"), ("doctor",),
)  # fmt: skip
# folders of a store in which a symlink could stand
SAMPLE = (("staging", True), ("staging", False), ("ledger/tmp", False))
LINKED = ("", "ledger", "ledger/entries", "ledger/tmp", "runs", "reviews", "staging", "resume")


@pytest.fixture(scope="module")
def home(warm, tmp_path_factory):
    return scenes.Home(warm, tmp_path_factory.mktemp("untouched") / "home")


@pytest.fixture
def theirs(tmp_path):
    """Return a folder of somebody's with 200 files."""
    folder = tmp_path / "theirs"
    for number, place in enumerate(PLACES):
        (folder / place).mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            (folder / place / name).write_text(f"{number} {name}, by hand\n")
    assert sum(path.is_file() for path in folder.rglob("*")) == 200
    return folder


def everything(folder):
    """Return type, mode, owner, times and content of a folder and all below it."""
    told = {}
    for path in [folder, *sorted(folder.rglob("*"))]:
        found = path.lstat()
        content = path.read_bytes() if stat.S_ISREG(found.st_mode) else os.fsencode(path.name)
        told[path.relative_to(folder)] = (
            found.st_mode, found.st_uid, found.st_mtime_ns, found.st_ctime_ns,
            hashlib.sha256(content).digest(),
        )  # fmt: skip
    return told


def test_a_folder_of_other_files_given_as_the_store_stays_as_it_is(home, theirs):
    home.take("release")
    there, before = home.at(theirs), everything(theirs)
    for words in COMMANDS:
        done = there.assay(*words)
        assert everything(theirs) == before, words
        assert done.code in ((0, 3) if words == ("doctor",) else (2, 3, 4)), (words, done.errors)
    for words in (scenes.RUN, GATE):
        assert "ASSAY-E108" in there.assay(*words).errors


def test_the_working_folder_as_the_store_stays_as_it_is(home, theirs):
    for name in ("a.csv", "c.yaml"):
        shutil.copy(home.folder / name, theirs / name)
    there, before = home.at("."), everything(theirs)
    done = there.warm.run(
        "run", "c.yaml", "--source", "a.csv", "--direct", cwd=theirs,
        env={"ASSAY_STORE": ".", "XDG_CONFIG_HOME": str(home.config)},
    )  # fmt: skip
    assert done.error == "ASSAY-E108", done.errors
    assert everything(theirs) == before


@pytest.mark.parametrize(
    ("place", "is_new"),
    [
        pytest.param(place, is_new, marks=[] if (place, is_new) in SAMPLE else pytest.mark.long)
        for place in LINKED
        for is_new in (True, False)
    ],
)
def test_folders_that_are_linked_to_stay_as_they_are(home, theirs, place, is_new):
    if is_new:
        home.take("first run")  # no store: the links lie where one will be made
        home.store.mkdir(exist_ok=True)
        (home.store / place).parent.mkdir(parents=True, exist_ok=True)
        if not place:
            home.store.rmdir()
    else:
        home.take("release")
        aside = home.folder / "aside"
        shutil.rmtree(aside, ignore_errors=True)
        if (home.store / place).exists():
            (home.store / place).rename(aside)
    (home.store / place).symlink_to(theirs / place)
    before = everything(theirs)
    for words in COMMANDS:
        done = home.assay(*words)
        assert everything(theirs) == before, words
        if words in (scenes.RUN, GATE, scenes.RELEASE):
            assert done.code in (2, 3, 4), (words, done.errors)
    (home.store / place).unlink()


def test_what_lies_in_a_store_under_other_names_or_as_links_stays(home, theirs):
    home.take("release")
    kept = {
        "staging/notes": None, f"staging/{RUN_ID[1:]}": None, f"staging/{RUN_ID}": theirs,
        f"staging/{RUN_ID[::-1]}.alive": theirs / "lock", "ledger/tmp/notes.txt": None,
        "ledger/tmp/000000000009.parquet.1-1": theirs / "notes.txt", "resume/notes": None,
        f"resume/{WORK}": theirs, "resume/old": None,
    }  # fmt: skip
    for name, target in kept.items():
        path = home.store / name
        path.parent.mkdir(exist_ok=True)
        if target:
            path.symlink_to(target)
        elif path.suffix:
            path.write_text("mine")
        else:
            path.mkdir()
            (path / "mine.txt").write_text("mine")
            os.utime(path, (0, 0))  # as old as what is swept
    before = everything(theirs)
    for words in (scenes.RUN, scenes.REVIEW, scenes.RELEASE, ("verify",), ("ledger", "compact")):
        home.assay(*words)
        assert everything(theirs) == before, words
        lost = [name for name in kept if not os.path.lexists(home.store / name)]
        assert lost == [], words


def test_a_killed_run_and_the_one_that_sweeps_after_it_touch_nothing_else(home, theirs):
    home.take("run")
    (home.store / "staging").mkdir(exist_ok=True)
    (home.store / "staging" / "theirs").symlink_to(theirs)
    before = everything(theirs)
    points = home.points("run")
    home.take("run")
    (home.store / "staging").mkdir(exist_ok=True)
    (home.store / "staging" / "theirs").symlink_to(theirs)
    [point] = [point for point in points if "link store/ledger/entries/0" in str(point)]
    assert home.assay(*scenes.RUN, fault=(str(point), "before")).code == KILLED
    [left] = [path for path in (home.store / "staging").iterdir() if path.is_dir()
              and not path.is_symlink()]  # fmt: skip
    (left / "out").mkdir(exist_ok=True)
    (left / "out" / "link").symlink_to(theirs)
    assert everything(theirs) == before
    assert home.assay(*scenes.RUN).number
    assert everything(theirs) == before
    assert not left.exists()
    assert (home.store / "staging" / "theirs").is_symlink()
