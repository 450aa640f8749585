"""Stores on file systems of their own: small ones, read-only ones, another user's."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import crash_scenes as scenes
import pytest
from cryptography.hazmat.primitives import serialization

from provenance.base import staging
from provenance.ledger import signing

NOBODY = 65534
ROOM = 64 << 20  # bytes


@pytest.fixture(scope="module")
def home(warm):
    """Return a home that other users may look into, unlike the folders of pytest."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield scenes.Home(warm, Path(folder) / "home")


def mount(*words):
    done = subprocess.run(["mount", *map(str, words)], capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no file system can be mounted here")


@pytest.fixture
def disk(tmp_path):
    """Return a function that makes a file system of so many bytes."""
    if os.geteuid():
        pytest.skip("only root can mount a file system")
    stack = contextlib.ExitStack()

    def make(size):
        place = tmp_path / "disk"
        place.mkdir(exist_ok=True)
        mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", place)
        stack.callback(subprocess.run, ["umount", "-l", place], check=True)
        return place

    with stack:
        yield make


def taken(home, name, place):
    """Put the store of an operation on another file system; returns that home and its look."""
    before = home.take(name)
    there = home.at(place / "store")
    if home.store.exists():
        shutil.copytree(home.store, there.store)
    return there, before


def used(folder):
    return sum(-(-p.stat().st_size // 4096) * 4096 for p in folder.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("name", "step"),
    [
        ("release", 100),
        pytest.param("release", 8, marks=pytest.mark.long),
        pytest.param("run", 16, marks=pytest.mark.long),
    ],
)
def test_disks_of_rising_sizes_refuse_with_e002_until_one_is_large_enough(home, disk, name, step):
    home.take(name)
    start = used(home.store)
    refusals = 0
    for extra in range(4 << 10, ROOM, step << 10):
        place = disk(start + extra)
        there, before = taken(home, name, place)
        done = there.assay(*scenes.OPERATIONS[name].words)
        after = scenes.look(there)
        assert scenes.problems_of(before, after, done) == []
        if done.number is not None:
            break
        assert scenes.refused(before, after, done, (3, "ASSAY-E002")) == []
        mount("-o", f"remount,size={ROOM}", place)
        assert scenes.next_works(there, name, after, refusals) == []
        refusals += 1
    assert refusals >= (1 if step == 100 else 10)


@pytest.mark.parametrize("words", [scenes.REVIEW, scenes.RELEASE])
def test_a_read_only_store_is_e001_and_can_be_read(home, disk, words):
    place = disk(ROOM)
    there, before = taken(home, "release", place)
    mount("-o", "remount,ro", place)
    done = there.assay(*words)
    after = scenes.look(there)
    assert scenes.refused(before, after, done, (3, "ASSAY-E001")) == []
    assert scenes.problems_of(before, after, done) == []


def test_a_first_run_on_a_read_only_disk_is_e001(home, disk):
    place = disk(ROOM)
    mount("-o", "remount,ro", place)
    there, _ = taken(home, "first run", place)
    done = there.assay(*scenes.RUN)
    assert (done.code, done.error) == (3, "ASSAY-E001")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become someone who may not write")
@pytest.mark.parametrize("words", [scenes.REVIEW, scenes.RELEASE])
def test_who_may_not_write_gets_e003(home, words):
    before = home.take("release")
    own = {"XDG_CONFIG_HOME": str(config_of_nobody(home))}
    done = home.assay(*words, user=NOBODY, env=own)
    assert (done.code, done.error) == (3, "ASSAY-E003"), done.errors
    assert scenes.refused(before, scenes.look(home), done, (3, "ASSAY-E003")) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to become someone who may not write")
def test_who_may_only_read_can_verify_beside_living_and_dead_runs(home):
    home.take("review after a kill")
    for path in (home.store, *home.store.rglob("*")):  # as its owner may decide; it is made 0700
        path.chmod(path.stat().st_mode | (0o055 if path.is_dir() else 0o044))
    trusted = home.folder / "trusted.pem"
    key = signing.load(home.config / "assay" / "signing-key.pem").private.public_key()
    pem = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    trusted.write_bytes(key.public_bytes(*pem))
    own = {"XDG_CONFIG_HOME": str(config_of_nobody(home)), "ASSAY_PUBLIC_KEY": str(trusted)}
    with staging.staged(home.store / "staging" / ("a" * 32)):
        done = home.assay("verify", user=NOBODY, env=own)
    assert (done.code, done.told["breaks"]) == (0, []), done.errors
    [one, two] = done.told["warnings"]
    assert {one["code"], two["code"]} == {"ASSAY-L009"}
    assert "a" * 32 not in one["where"] + two["where"]


def config_of_nobody(home):
    folder = home.folder / "nobody"
    folder.mkdir(exist_ok=True)
    os.chown(folder, NOBODY, NOBODY)
    return folder
