"""The gate against whoever may write to the store, the source or the environment.

0 attacks open it, none makes it hang, none has anything removed or written outside the store. What
leaves the run that counts alone may leave the gate open: then the command reads the recorded bytes.
"""

import contextlib
import hashlib
import os
import resource
import shutil
import signal
import threading
import time
from pathlib import Path

import attacks
import pytest

from pipelines import cli
from pipelines.commands import gate
from pipelines.store import trust
from pipelines.store.store import Store
from provenance.base import own_code
from provenance.base.errors import AssayError
from provenance.ledger import signing

SECONDS = 10
READ = (
    "import hashlib, os, pathlib; "
    "print(*(hashlib.sha256(path.read_bytes()).hexdigest() "
    "for path in sorted(pathlib.Path(os.environ['ASSAY_CLEAN']).iterdir())), "
    "file=open('read', 'w'))"
)


# what is done to runs and decisions that the handed run does not rest on
HARMLESS = {name for name in attacks.CASES if name.startswith(("decisions: ", "a page: "))} | {
    "a run's folder of no run", "a stray among the runs", "a lineage edited",
    "findings without rows", "decisions of no entry", "a stray among the decisions",
    "a link among the decisions",
}  # fmt: skip


class CheckedAnewError(AssayError):
    """Raised where the gate would check anew: then nothing old was believed."""

    def __init__(self, *_):
        super().__init__("K001", "the checks would run anew")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """Return a folder with a store whose run 1 a gate may reuse, and the state of its user."""
    folder = tmp_path_factory.mktemp("gate")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        patch.setenv("XDG_STATE_HOME", str(folder / "state"))
        attacks.build(folder)
        (folder / "outside").mkdir()
        (folder / "outside" / "precious").write_text("mine")
        trust.require_whole(Store(folder / "store"))
    return folder


@pytest.fixture
def home(template, tmp_path, monkeypatch):
    """Return a copy of the template's folder at one path that is always the same."""
    place = tmp_path / "home"
    shutil.copytree(template, place, symlinks=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(place / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
    monkeypatch.setattr(gate, "execute", _anew)
    monkeypatch.chdir(place)
    return place


def _anew(*_):
    raise CheckedAnewError


@contextlib.contextmanager
def limited(seconds=SECONDS):
    """Let what takes longer fail."""

    def late(*_):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def gated(*options, contract="c.yaml", source="first.csv"):
    """Run the gate; returns its exit code, and the digests that the command read, or None."""
    Path("read").unlink(missing_ok=True)
    words = ["gate", contract, "--source", source, "--store", "store", *options]
    with limited():
        code = cli.main([*words, "--", "python3", "-c", READ])
    return code, Path("read").read_text().split() if Path("read").exists() else None


def recorded(home):
    """Return the digests of the clean files of run 1, taken before anybody came."""
    folder = home / "store/runs/000000000001/clean"
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())]


def outside(home):
    """Return what lies beside the store and is nobody's to change but the attacker's."""
    return {
        path.name: (path.lstat().st_mtime_ns, path.read_bytes())
        for path in (home / "outside").iterdir()
    }


def test_the_gate_opens_where_nobody_came(home):
    wanted = recorded(home)
    assert gated() == (0, wanted)
    assert gated("--in-place") == (0, wanted)


@pytest.mark.parametrize("name", attacks.CASES)
@pytest.mark.parametrize(
    "options", [(), pytest.param(("--in-place",), marks=pytest.mark.long)], ids=["copy", "in place"]
)
def test_no_harm_to_the_store_opens_the_gate(home, name, options, capsys):
    wanted, before = recorded(home), outside(home)
    attacks.CASES[name](home / "store")
    code, read = gated(*options)
    told = capsys.readouterr().err
    assert outside(home) == before
    if read is None:
        assert code in (3, 4), told
        assert "ASSAY-" in told
    else:  # another run was harmed than the one that is handed over
        assert (code, read) == (0, wanted)
        assert name in HARMLESS, name


def with_contract(home, text):
    contract = home / "c.yaml"
    contract.write_text(contract.read_text() + text)


def grows_for_ever(home):
    stop = threading.Event()

    def write():
        with (home / "first.csv").open("a") as file:
            while not stop.is_set():
                file.write("more,1\n")
                file.flush()
                time.sleep(0.001)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return lambda: (stop.set(), thread.join())


def replaced(path, make):
    path.unlink()
    make(path)


INPUTS = {
    "source edited": lambda home: attacks.edited(home / "first.csv"),
    "source longer": lambda home: attacks.longer(home / "first.csv"),
    "source empty": lambda home: attacks.emptied(home / "first.csv"),
    "source gone": lambda home: attacks.missing(home / "first.csv"),
    "source a pipe": lambda home: replaced(home / "first.csv", os.mkfifo),
    "source a folder": lambda home: replaced(home / "first.csv", Path.mkdir),
    "source a link outside": lambda home: replaced(
        home / "first.csv", lambda path: path.symlink_to("/etc/passwd")
    ),
    "source endless": lambda home: replaced(
        home / "first.csv", lambda path: path.symlink_to("/dev/zero")
    ),
    "source grows": grows_for_ever,
    "source's digest file says otherwise": lambda home: (home / "first.csv.sha256").write_text(
        f"{'0' * 64}  first.csv\n"
    ),
    "contract edited": lambda home: with_contract(home, "# laxer\n"),
    "contract gone": lambda home: attacks.missing(home / "c.yaml"),
    "contract a pipe": lambda home: replaced(home / "c.yaml", os.mkfifo),
    "contract with a reference": lambda home: with_contract(
        home, "customProperties:\n  - {property: assay.reference, value: second.csv}\n"
    ),
    "contract with a test set": lambda home: with_contract(
        home,
        "customProperties:\n  - property: assay.checks\n"
        "    value: {duplicates: {test_set: second.csv}}\n",
    ),
    "contract with a deny list": lambda home: (
        (home / "deny.txt").write_text("somebody\n"),
        with_contract(
            home,
            "customProperties:\n  - property: assay.checks\n"
            "    value: {pii: {deny_file: deny.txt}}\n",
        ),
    ),
}


@pytest.mark.parametrize("name", INPUTS)
def test_no_change_of_what_was_judged_opens_the_gate(home, name, capsys):
    stop = INPUTS[name](home)
    code, read = gated()
    if callable(stop):
        stop()
    assert read is None
    assert code in (2, 3), capsys.readouterr().err


def another_key(home, monkeypatch):
    key = home / "thief.pem"
    key.touch(0o600)
    key.unlink()
    signing.load_or_make(key)
    monkeypatch.setenv("ASSAY_SIGNING_KEY", str(key))


def another_public_key(home, monkeypatch):
    (home / "thief.pub").write_bytes(attacks.THIEF.public_pem())
    (home / "thief.pub").chmod(0o600)
    monkeypatch.setenv("ASSAY_PUBLIC_KEY", str(home / "thief.pub"))


def no_key(home, _):
    shutil.rmtree(home / "config")


def a_key_others_may_read(home, _):
    (home / "config/assay/signing-key.pem").chmod(0o644)


def code_changed(_, monkeypatch):
    monkeypatch.setattr(own_code, "sha256", lambda: hashlib.sha256(b"x").hexdigest())


def others_may_write(home, _):
    (home / "store").chmod(0o777)


def others_may_write_to_the_runs(home, _):
    (home / "store/runs").chmod(0o770)


def no_marker(home, _):
    (home / "store/store.json").unlink()


def of_another_user(home, _):
    if os.geteuid():
        pytest.skip("needs root, to give a store away")
    os.chown(home / "store", 65534, 65534)


def behind_a_link(home, _):
    attacks.moved_behind_a_link(home, home / "store")


def an_older_store(home, _):
    attacks.end_cut_off(home / "store")
    shutil.rmtree(home / "store/runs/000000000004")
    (home / "store/reviews/000000000003.parquet").unlink()


def a_ledger_gone(home, _):
    shutil.rmtree(home / "store/ledger")


def a_ledger_gone_with_its_runs(home, _):
    for name in ("ledger", "runs", "reviews"):
        shutil.rmtree(home / "store" / name)


def no_files_may_be_opened(*_):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 2, hard))
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def files_may_not_grow(*_):
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))

    def undo():
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)

    return undo


SURROUNDINGS = (
    another_key, another_public_key, no_key, a_key_others_may_read, code_changed, others_may_write,
    others_may_write_to_the_runs, no_marker, of_another_user, behind_a_link, an_older_store,
    a_ledger_gone, a_ledger_gone_with_its_runs, no_files_may_be_opened, files_may_not_grow,
)  # fmt: skip


@pytest.mark.parametrize("attack", SURROUNDINGS, ids=lambda attack: attack.__name__)
def test_no_other_surroundings_open_the_gate(home, monkeypatch, attack, capsys):
    before = outside(home)
    undo = attack(home, monkeypatch)
    try:
        code, read = gated()
    finally:
        if undo:
            undo()
    assert read is None
    assert code in (3, 4), capsys.readouterr().err
    assert outside(home) == before


@pytest.mark.parametrize("age", ["0s", "1s"])
@pytest.mark.usefixtures("home")
def test_a_pass_that_is_too_old_opens_nothing(age):
    time.sleep(1.1)
    assert gated("--max-age", age) == (3, None)


@pytest.mark.usefixtures("home")
def test_what_the_policy_asks_now_counts():
    assert gated("--fail-on", "warning") == (3, None)


@pytest.mark.parametrize("name", ["a clean file edited", "clean emptied", "a file too many"])
def test_a_change_between_two_gates_is_seen(home, name):
    assert gated()[0] == 0
    {"a clean file edited": lambda s: attacks.edited(attacks.clean(s)), **attacks.CASES}[name](
        home / "store"
    )
    assert gated() == (4, None)
