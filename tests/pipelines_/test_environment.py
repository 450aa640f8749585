"""What the place and the environment of a run may decide: its own folder no setting, no child a key.

A cloned project is somebody else's: what lies in its folder is read as data and never obeyed.
"""

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

from pipelines import config, prefect_files
from provenance import sign

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
import pathlib, sys

def night(words):
    pathlib.Path(words[1]).touch()
    return 0

if __name__ == "__main__":
    from pipelines import nightly
    import serve
    nightly.serve(["run", sys.argv[1]], nightly.Schedule(interval=4), name="n", entry=serve.night)
"""
WATCH = """
import json, pathlib, sys
from pipelines import config, keys

def night(words):
    with pathlib.Path("/proc/self/environ").open("rb") as file:
        leaked = b"PRIVATE KEY" in file.read()
    told = json.dumps([leaked, keys.own().verifier.key_id.hex()])
    pathlib.Path(words[1] + ".draft").write_text(told)
    pathlib.Path(words[1] + ".draft").rename(words[1])
    return 0

if __name__ == "__main__":
    from pipelines import nightly
    import serve
    nightly.serve(["run", sys.argv[1]], nightly.Schedule(interval=4), name="n", entry=serve.night)
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
           "XDG_DATA_HOME": str(place / "data"), "PREFECT_API_KEY": "secret-of-the-user"}  # fmt: skip
    # the template of Prefect's database is no setting; made anew, it would cost a minute
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path("~/.cache").expanduser())
    return {**kept, **own, "XDG_CACHE_HOME": cache, **more}


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


@pytest.mark.parametrize("file", [".env", "prefect.toml", "pyproject.toml"])
@pytest.mark.parametrize("before", [True, False])
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


def test_a_run_with_a_server_of_its_own_obeys_nothing_that_lies_there(hostile, trap):
    work = hostile / "work"
    people(work)
    doctor = subprocess.run(
        [ASSAY, "doctor", "--json"], cwd=work, check=False, capture_output=True, text=True,
        env=environment(hostile), timeout=120,
    )  # fmt: skip
    lines = {line["name"]: line["seen"] for line in json.loads(doctor.stdout)["lines"]}
    assert lines["prefect"].startswith("no server configured")
    done = subprocess.run(
        [ASSAY, "run", "contract.yaml", "--source", "people.csv", "--debug"],
        cwd=work, check=False, capture_output=True, text=True, env=environment(hostile), timeout=300,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    assert trap.caught == []
    assert not (hostile / "marker").exists()


def serving(place, script, *words, **more):
    (place / "lib").mkdir()
    (place / "lib" / "serve.py").write_text(script)
    env = environment(place, PYTHONPATH=str(place / "lib"), TZ="UTC", **more)
    return subprocess.Popen(
        [sys.executable, "-P", str(place / "lib" / "serve.py"), *map(str, words)],
        cwd=place / "work", env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def wait_for(path, seconds=120):
    until = time.monotonic() + seconds
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.1)
    return path.exists()


def test_a_nightly_run_obeys_nothing_that_lies_there(hostile, trap):
    server = serving(hostile, SERVE, hostile / "done")
    try:
        fired = wait_for(hostile / "done")
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=60)
    finally:
        server.kill()
    assert fired, errors
    assert trap.caught == []
    assert not (hostile / "marker").exists()


@pytest.fixture
def pem(tmp_path):
    sign.load_or_make(tmp_path / "one.pem")
    return (tmp_path / "one.pem").read_text()


def leaking(root, words):
    """Return how many processes below `root` were seen, and the commands of those with a key."""
    parents = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
        except OSError:
            continue
    below, found = [root], {}
    for number in below:
        below += [child for child, parent in parents.items() if parent == number]
    for number in below[1:]:
        try:
            shown = Path(f"/proc/{number}/environ").read_bytes()
            command = Path(f"/proc/{number}/cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if shown and words[0] in command.split(" ")[0]:  # not between fork and exec
            found[command[:200]] = words[1] in shown
    return found


@pytest.mark.parametrize("engine", ["processes", "dask"])
def test_no_child_of_a_run_is_given_the_key(tmp_path, pem, engine):
    """Read what the system shows of every child's environment for as long as the run goes on."""
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    people(tmp_path / "work")
    words = [ASSAY, "run", "contract.yaml", "--source", "people.csv", "--engine", engine]
    env = environment(tmp_path, ASSAY_SIGNING_KEY=pem)
    run = subprocess.Popen(
        words if engine == "processes" else [*words, "--direct"],
        cwd=tmp_path / "work", env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    seen = {}
    try:
        while run.poll() is None:
            for command, leaks in leaking(run.pid, ("python", b"PRIVATE KEY")).items():
                seen[command] = seen.get(command, False) or leaks
            time.sleep(0.02)
        _, errors = run.communicate(timeout=60)
    finally:
        run.kill()
    assert run.returncode in (0, 1), errors
    assert not [command for command, leaks in seen.items() if leaks]
    for part in ("read_sources", "run_rules", "spawn_main"):
        assert [command for command in seen if part in command], (part, list(seen))
    assert not (tmp_path / "config" / "assay" / "signing-key.pem").exists()
    entry = next((tmp_path / "work" / "assay-store" / "ledger" / "entries").iterdir())
    assert entry.stat().st_size


def test_a_nightly_run_has_the_key_and_its_environment_has_not(tmp_path, pem):
    (tmp_path / "work").mkdir()
    (tmp_path / "home").mkdir()
    server = serving(tmp_path, WATCH, tmp_path / "done", ASSAY_SIGNING_KEY=pem)
    try:
        fired = wait_for(tmp_path / "done")
        server.send_signal(signal.SIGTERM)
        _, errors = server.communicate(timeout=60)
    finally:
        server.kill()
    assert fired, errors
    expected = sign.parse(pem.encode(), "").verifier.key_id.hex()
    assert json.loads((tmp_path / "done").read_text()) == [False, expected]


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
