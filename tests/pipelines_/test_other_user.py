"""Another user of the machine beside a store: what he may read, alter, hold up or lay in wait.

Each attempt runs as another uid, in a process of its own, and must come to nothing.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import crash_scenes as scenes
import pytest

NOBODY = 65534
ATTEMPTS = {
    "read the quarantine": "(RUN / 'quarantine/part-00000.parquet').read_bytes()",
    "list the runs": "os.listdir(STORE / 'runs')",
    "read an entry": "(STORE / 'ledger/entries/000000000000.parquet').read_bytes()",
    "read the marker": "(STORE / 'store.json').read_bytes()",
    "read the key": "(CONFIG / 'assay/signing-key.pem').read_bytes()",
    "hold the ledger's lock": "fcntl.flock(os.open(STORE / 'ledger/lock', os.O_RDONLY), 2)",
    "lay a link in staging": "os.symlink('/etc', STORE / 'staging/x')",
    "lay a link for the store": "os.symlink('/etc', STORE / 'resume')",
    "add an entry": "(STORE / 'ledger/entries/000000000009.parquet').write_bytes(b'x')",
    "add a clean file": "(RUN / 'clean/x.parquet').write_bytes(b'x')",
    "rename the store": "os.rename(STORE, STORE.with_name('gone'))",
    "remove an entry": "os.unlink(STORE / 'ledger/entries/000000000001.parquet')",
    "change the store's mode": "os.chmod(STORE, 0o777)",
}
SCRIPT = """
import fcntl, os, pathlib, sys
STORE, CONFIG = map(pathlib.Path, sys.argv[1:3])
RUN = STORE / 'runs/000000000001'
os.setgroups([])
os.setgid({nobody})
os.setuid({nobody})
try:
    {attempt}
except PermissionError:
    sys.exit(13)
except OSError as error:
    sys.exit(f"another error: {{error!r}}")
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be two users")


@pytest.fixture(scope="module")
def home(warm):
    """Return a home whose folders anybody may enter, as a project's folder often is.

    It does not lie in pytest's own folders: each session of pytest that starts closes them.
    """
    with tempfile.TemporaryDirectory(prefix="assay-other-user-") as folder:
        made = scenes.Home(warm, Path(folder) / "home")
        for place in (Path(folder), made.folder):
            place.chmod(0o755)
        made.take("release")
        yield made


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_no_attempt_on_a_store_succeeds(home, attempt):
    script = SCRIPT.format(attempt=ATTEMPTS[attempt], nobody=NOBODY)
    words = [sys.executable, "-I", "-c", script, str(home.store), str(home.config)]
    done = subprocess.run(words, timeout=60, check=False, capture_output=True, text=True)
    assert done.returncode == 13, done.stderr


def test_a_store_that_another_user_prepared_is_not_used(home):
    theirs = home.folder / "theirs"
    theirs.mkdir()
    theirs.chmod(0o777)
    (theirs / "store.json").write_text('{"schema": "assay.store/1", "sharing": "private"}\n')
    os.chown(theirs, NOBODY, NOBODY)
    os.chown(theirs / "store.json", NOBODY, NOBODY)
    for words in (scenes.RUN, ("gate", "c.yaml", "--source", "a.csv", "--json", "--", "true")):
        done = home.at(theirs).assay(*words)
        assert done.code == 3
        assert "ASSAY-E109" in done.errors
    assert sorted(path.name for path in theirs.iterdir()) == ["store.json"]


def test_another_user_is_refused_whatever_he_runs(home):
    config = home.folder / "nobody"
    config.mkdir()
    os.chown(config, NOBODY, NOBODY)
    own = {"XDG_CONFIG_HOME": str(config), "XDG_STATE_HOME": str(config)}
    for words in (scenes.RUN, scenes.REVIEW, scenes.RELEASE, ("verify",), ("ledger", "log"),
                  ("review", "1", "--list"), ("explain", "1", "3")):  # fmt: skip
        done = home.assay(*words, user=NOBODY, env=own)
        assert (done.code, done.error) == (3, "ASSAY-E003"), (words, done.errors)
