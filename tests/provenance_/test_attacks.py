"""Each attack on a store, and each honest leftover, told alike by both verifiers."""

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import attacks
import pytest

from pipelines import cli
from pipelines.store import keys
from provenance import standalone_verify

LIMIT = 60  # seconds, after which a verifier hangs
VERIFIER = str(Path(standalone_verify.__file__))


@pytest.fixture(scope="session")
def homes(tmp_path_factory):
    """Both stores, each with its key's configuration and the key's public half."""
    made = {}
    for is_compacted in (False, True):
        home = tmp_path_factory.mktemp("attacked")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CONFIG_HOME", str(home / "config"))
            attacks.build(home, is_compacted=is_compacted)
            (home / "key.pem").write_bytes(keys.own().public_pem())
        made[is_compacted] = home
    return made


@pytest.fixture
def asked(homes, tmp_path, monkeypatch, capsys):
    """Return a function that attacks a copy and asks both verifiers: their codes and words."""

    def hang(*_):
        pytest.fail("it hangs")

    def ask(attack, *, is_compacted=False):
        home = homes[is_compacted]
        store = tmp_path / "store"
        shutil.copytree(home / "store", store)
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
        attack(store)
        capsys.readouterr()
        code = cli.main(["verify", "--store", str(store), "--json"])
        told = json.loads(capsys.readouterr().out)
        key = str(home / "key.pem")
        monkeypatch.setattr(sys, "argv", ["standalone_verify.py", str(store), "--key", key])
        alone = standalone_verify.main()
        return code, alone, told, capsys.readouterr().out

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(LIMIT)
    yield ask
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", attacks.CASES)
def test_an_attack_is_found_by_both(asked, name):
    code, alone, told, said = asked(attacks.CASES[name])
    assert (code, alone) == (4, 4), (told, said)
    assert all(line.isprintable() for line in said.splitlines())


@pytest.mark.parametrize("name", attacks.COMPACTED)
def test_an_attack_on_a_compacted_store_is_found_by_both(asked, name):
    code, alone, told, said = asked(attacks.COMPACTED[name], is_compacted=True)
    assert (code, alone) == (4, 4), (told, said)


@pytest.mark.parametrize("name", attacks.HONEST)
def test_what_honest_runs_leave_holds_in_both(asked, name):
    code, alone, told, said = asked(attacks.HONEST[name])
    assert (code, alone) == (0, 0), (told, said)


@pytest.mark.parametrize("name", attacks.HONEST_COMPACTED)
def test_what_honest_compactions_leave_holds_in_both(asked, name):
    code, alone, told, said = asked(attacks.HONEST_COMPACTED[name], is_compacted=True)
    assert (code, alone) == (0, 0), (told, said)


@pytest.mark.parametrize("name", ["nothing", "a run that died at work"])
def test_the_standalone_verifier_says_so_as_a_script(homes, tmp_path, name):
    shutil.copytree(homes[False] / "store", tmp_path / "store")
    attacks.HONEST[name](tmp_path / "store")
    words = [tmp_path / "store", "--key", homes[False] / "key.pem"]
    command = [sys.executable, "-P", VERIFIER, *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "holds\n", "")
