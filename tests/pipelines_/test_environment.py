"""The place of a run sets nothing, and no child of a run is given the key.

A cloned project is somebody else's: what lies in its folder is read as data and never obeyed.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pipelines import cli, config
from pipelines.checking import engine
from pipelines.orchestration import prefect_files
from provenance.ledger import signing

ASSAY = str(Path(sys.executable).parent / "assay")
PROBE = """
import json, prefect.main
from prefect.settings import get_current_settings
found = get_current_settings()
print(json.dumps([found.api.url, str(found.logging.config_path), found.plugins.enabled]))
"""
SHADOWS = ("sitecustomize", "usercustomize", "prefect", "pandas", "great_expectations", "evil")
LOGGING = """
version: 1
disable_existing_loggers: false
handlers: {planted: {(): os.system, command: "touch %s"}}
root: {handlers: [planted]}
"""
SERVE = """
import datetime, json, pathlib, sys
from pipelines import config
from pipelines.store import keys

def night(words):
    with pathlib.Path("/proc/self/environ").open("rb") as file:
        leaked = b"PRIVATE KEY" in file.read()
    told = json.dumps([leaked, keys.own().verifier.key_id.hex()])
    pathlib.Path(words[1] + ".draft").write_text(told)
    pathlib.Path(words[1] + ".draft").rename(words[1])
    return 0

if __name__ == "__main__":
    from pipelines.orchestration import nightly
    import serve
    every = nightly.Schedule(interval=datetime.timedelta(seconds=4))
    nightly.serve(["run", sys.argv[1]], every, name="n", entry=serve.night)
"""


class Trap:
    """A port that a hostile file points to; whoever connects is caught."""

    def __init__(self):
        self.caught = []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/api"
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                self.caught.append(connection.recv(4096))

    def close(self):
        self._socket.close()


@pytest.fixture
def trap():
    made = Trap()
    yield made
    made.close()


@pytest.fixture
def pem(tmp_path):
    signing.load_or_make(tmp_path / "one.pem")
    return (tmp_path / "one.pem").read_text()


@pytest.fixture
def hostile(tmp_path, trap):
    """A cloned project with every file that a library might take for its own, and a marker."""
    work, marker = tmp_path / "work", tmp_path / "marker"
    (work / "gx").mkdir(parents=True)
    (tmp_path / "home").mkdir()
    (work / "evil.yml").write_text(LOGGING % marker)
    wanted = {"PREFECT_API_URL": trap.url, "PREFECT_LOGGING_SETTINGS_PATH": str(work / "evil.yml"),
              "PREFECT_HOME": str(work), "PREFECT_PROFILES_PATH": str(work / "profiles.toml"),
              "PREFECT_PLUGINS_ENABLED": "true"}  # fmt: skip
    (work / ".env").write_text("".join(f"{name}={given}\n" for name, given in wanted.items()))
    tables = f'[{{0}}api]\nurl = "{trap.url}"\n[{{0}}logging]\nconfig_path = "{work}/evil.yml"\n'
    tables += "[{0}experiments.plugins]\nenabled = true\n"
    (work / "prefect.toml").write_text(tables.format(""))
    (work / "pyproject.toml").write_text(tables.format("tool.prefect."))
    (work / "profiles.toml").write_text(
        f'active = "x"\n[profiles.x]\nPREFECT_API_URL = "{trap.url}"\n'
    )
    for name in SHADOWS:
        (work / f"{name}.py").write_text(f"open({str(marker)!r}, 'w').close()\n")
    (work / "evil.pth").write_text(f"import os; open({str(marker)!r}, 'w').close()\n")
    (work / ".duckdbrc").write_text(f".shell touch {marker}\n")
    for name in ("dask.yaml", "matplotlibrc", "great_expectations.conf", "gx/gx.yml"):
        (work / name).write_text("{not: [readable\n")
    return tmp_path


def environment(place, **more):
    kept = {name: given for name, given in os.environ.items() if not name.startswith("PREFECT_")}
    own = {"HOME": str(place / "home"), "XDG_CONFIG_HOME": str(place / "config"),
           "PREFECT_API_KEY": "the user's"}  # fmt: skip
    return {**kept, **own, **more}


def probed(place, code, **more):
    done = subprocess.run(
        [sys.executable, "-P", "-c", code + PROBE], cwd=place / "work", check=True,
        capture_output=True, text=True, env=environment(place, **more), timeout=120,
    )  # fmt: skip
    return json.loads(done.stdout)


def people(work, rows=60):
    lines = [f"{18 + n % 60},{n * 500 + n % 7},{'yes' if n % 3 else 'no'}" for n in range(rows)]
    (work / "people.csv").write_text("\n".join(["age,income,label", *lines]) + "\n")
    words = [ASSAY, "init", "people.csv", "--label", "label", "-o", "contract.yaml"]
    subprocess.run(words, cwd=work, check=True, capture_output=True, env=environment(work.parent))


@pytest.mark.parametrize(
    ("file", "before"),
    [(".env", False), ("prefect.toml", False), ("pyproject.toml", False), (".env", True)],
)
def test_prefect_reads_no_file_of_the_working_folder(hostile, trap, file, before):
    """Also where a program imported Prefect before Assay; plain Prefect would obey."""
    for other in {".env", "prefect.toml", "pyproject.toml"} - {file}:
        (hostile / "work" / other).unlink()
    late = "import prefect.main, pipelines\n" if before else "import pipelines\n"
    ours = probed(hostile, late)
    assert ours == [None, str(hostile / "home" / ".prefect" / "logging.yml"), False]
    if before:
        assert probed(hostile, "")[:2] == [trap.url, str(hostile / "work" / "evil.yml")]


def test_the_environment_and_the_profile_of_the_user_count_as_ever(hostile):
    home = hostile / "home" / ".prefect"
    home.mkdir()
    (home / "profiles.toml").write_text(
        'active = "x"\n[profiles.x]\nPREFECT_API_URL = "http://mine.example/api"\n'
    )
    assert probed(hostile, "import pipelines\n")[0] == "http://mine.example/api"
    named = {"PREFECT_API_URL": "http://other.example/api", "PREFECT_LOGGING_SETTINGS_PATH": "/x"}
    assert probed(hostile, "import pipelines\n", **named)[:2] == ["http://other.example/api", "/x"]
    elsewhere = hostile / "profiles.toml"
    elsewhere.write_text('active = "y"\n[profiles.y]\nPREFECT_API_URL = "http://third/api"\n')
    named = {"PREFECT_PROFILES_PATH": str(elsewhere)}
    assert probed(hostile, "import pipelines\n", **named)[0] == "http://third/api"


def test_a_prefect_of_other_names_is_refused(monkeypatch):
    import types

    bare = types.ModuleType(prefect_files.BASE)
    monkeypatch.setitem(sys.modules, prefect_files.SOURCES, types.ModuleType("sources"))
    with pytest.raises(ImportError, match="prefect>=3"):
        prefect_files._close(bare)


def _command(number):
    return Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def leaking(root):
    """Return the commands of the processes below `root`, and whether a key is seen there."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
        except OSError:
            continue
    below, found, own = [root], {}, _command(root)  # a child is its parent until it is executed
    for number in below:
        below += [child for child, parent in parents.items() if parent == number]
    for number in below[1:]:
        try:
            shown = Path(f"/proc/{number}/environ").read_bytes()
            command = _command(number)
        except OSError:
            continue
        if shown and command != own:  # not between fork and exec
            found[command[:200]] = b"PRIVATE KEY" in shown
    return found


def test_a_run_obeys_nothing_that_lies_there_and_gives_no_child_the_key(hostile, trap, pem):
    """Read what the system shows of every child's environment for as long as the run goes on."""
    work, seen = hostile / "work", {}
    people(work)
    words = ["run", "contract.yaml", "--source", "people.csv", "--debug", "--engine", "processes"]
    words += ["--flow"]
    run = subprocess.Popen(
        [ASSAY, *words], cwd=work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        env=environment(hostile, ASSAY_SIGNING_KEY=pem),
    )  # fmt: skip
    try:
        while run.poll() is None:
            for command, leaks in leaking(run.pid).items():
                seen[command] = seen.get(command, False) or leaks
            time.sleep(0.05)
        _, errors = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode in (0, 1), errors
    assert trap.caught == []
    assert not (hostile / "marker").exists()
    assert not [command for command, leaks in seen.items() if leaks]
    for part in ("read_sources", "run_rules", "orchestration.ephemeral", "spawn_main"):
        assert [command for command in seen if part in command], (part, list(seen))
    assert not (hostile / "config").exists()  # no key was made: the one that was given signed


def test_the_doctor_is_told_of_no_server_by_what_lies_there(hostile, monkeypatch, capsys):
    monkeypatch.chdir(hostile / "work")
    monkeypatch.setenv("HOME", str(hostile / "home"))
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    cli.main(["doctor", "--json"])
    lines = {line["name"]: line["seen"] for line in json.loads(capsys.readouterr().out)["lines"]}
    assert lines["prefect"].startswith("no server configured")


def serving(place, script, *words, **more):
    (place / "lib").mkdir()
    (place / "lib" / "serve.py").write_text(script)
    env = environment(place, PYTHONPATH=str(place / "lib"), TZ="UTC", **more)
    return subprocess.Popen(
        [sys.executable, "-P", str(place / "lib" / "serve.py"), *map(str, words)],
        cwd=place / "work", env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(path, seconds=400):
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.1)
    return path.exists()


def test_a_nightly_run_obeys_nothing_there_and_has_the_key_but_not_in_its_environment(
    hostile, trap, pem
):
    server = serving(hostile, SERVE, hostile / "done", ASSAY_SIGNING_KEY=pem)
    try:
        fired = wait_for(hostile / "done")
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=60)
    finally:
        server.kill()
    assert fired, errors
    assert trap.caught == []
    assert not (hostile / "marker").exists()
    expected = signing.parse(pem.encode(), "").verifier.key_id.hex()
    assert json.loads((hostile / "done").read_text()) == [False, expected]


def shows_key(_):
    return b"PRIVATE KEY" in Path("/proc/self/environ").read_bytes()


@pytest.mark.parametrize("name", ["processes", "dask"])
def test_no_worker_is_given_the_key(tmp_path, monkeypatch, pem, name):
    monkeypatch.setenv("ASSAY_SIGNING_KEY", pem)
    assert config.take_key()
    with contextlib.closing(engine.make(name, 1, scratch=tmp_path)) as workers:
        assert workers.map(shows_key, [1, 2]) == [False, False]


def test_a_key_is_taken_out_of_an_environment_and_its_path_is_not(pem, monkeypatch):
    assert config.without_key({"ASSAY_SIGNING_KEY": pem, "A": "b"}) == {"A": "b"}
    assert config.without_key({"ASSAY_SIGNING_KEY": f"\n {pem}"}) == {}
    path = {"ASSAY_SIGNING_KEY": "/keys/one.pem"}
    assert config.without_key(path) == path
    monkeypatch.setenv("ASSAY_SIGNING_KEY", pem)
    assert config.take_key() == config.take_key() == config.key_text() == pem.strip().encode()
    assert "ASSAY_SIGNING_KEY" not in os.environ
    assert config.is_key_named()
    monkeypatch.setenv("ASSAY_SIGNING_KEY", "/keys/one.pem")  # what is said later counts
    assert config.key_text() is None
    assert config.take_key() is None
    assert os.environ["ASSAY_SIGNING_KEY"] == "/keys/one.pem"
