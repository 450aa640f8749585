"""The nightly run: cron lines, and a served schedule that is seen to fire and to end in order."""

import datetime as dt
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
import zoneinfo
from pathlib import Path

import pytest

from pipelines.orchestration import nightly
from provenance.base.errors import AssayError

NIGHT = """
import pathlib, sys, time

def night(words):
    import pipelines
    with pathlib.Path(words[1]).open("a") as told:
        told.write(f"{pipelines.__file__}\\n")
    time.sleep(float(words[2]))
    print("a night is done", flush=True)
    return int(words[3])
"""

SERVE = """
import datetime, sys
from pipelines.orchestration import nightly
from nights import night

if __name__ == "__main__":
    name, when = sys.argv[1:3]
    every = nightly.Schedule(interval=datetime.timedelta(seconds=4))
    when = every if when == "-" else nightly.parse_cron(when)
    nightly.serve(["run", *sys.argv[3:]], when, name=name, entry=night)
    print("served", flush=True)
"""


@pytest.mark.parametrize("line", ["0 2 * * *", "*/15 1-3 * * mon-fri", "@daily", "0 0 29 2 *"])
def test_a_cron_line_is_taken(line):
    parsed = nightly.parse_cron(line, "Europe/Paris")
    assert (parsed.cron, parsed.timezone, parsed.interval) == (line, "Europe/Paris", None)


@pytest.mark.parametrize(
    "line", ["", "night", "61 * * * *", "* * * *", "0 0 2 * * *", "0 0 31 2 *", "R * * * *"]
)
def test_a_cron_line_that_is_none_or_never_comes_is_c012(line):
    with pytest.raises(AssayError, match="C012") as raised:
        nightly.parse_cron(line)
    assert raised.value.exit_code == 2


def test_a_day_that_never_comes_is_called_so():
    with pytest.raises(AssayError, match="never comes") as raised:
        nightly.parse_cron("0 0 31 2 *")
    assert raised.value.code == "ASSAY-C012"


def test_an_unknown_time_zone_is_c012():
    with pytest.raises(AssayError, match="C012"):
        nightly.parse_cron("0 2 * * *", "Mars/Olympus")


def test_the_next_run_is_told_in_the_time_of_the_zone():
    told = nightly.described(nightly.parse_cron("30 2 * * *", "Europe/Paris"))
    assert re.fullmatch(r"next run \d{4}-\d\d-\d\d 02:30 Europe/Paris \(cron 30 2 \* \* \*\)", told)


@pytest.mark.parametrize(
    ("named", "zone"), [("Europe/Paris", "Europe/Paris"), (":Asia/Tokyo", "Asia/Tokyo")]
)
def test_the_zone_of_this_machine_comes_from_tz(monkeypatch, named, zone):
    monkeypatch.setenv("TZ", named)
    assert nightly.local_timezone() == zone


@pytest.mark.parametrize("named", ["", "EST5EDT4,M3.2.0", "../../etc/passwd"])
def test_a_tz_that_names_no_zone_is_not_believed(monkeypatch, named):
    monkeypatch.setenv("TZ", named)
    assert zoneinfo.ZoneInfo(nightly.local_timezone())


def test_an_interval_is_told_in_seconds():
    every = nightly.Schedule(interval=dt.timedelta(seconds=4))
    assert nightly.described(every) == "every 4 s"


def test_a_name_cannot_lead_out_of_the_folder_of_locks(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert nightly.lock_path("../a b").parent == tmp_path / "assay" / "nightly"


@pytest.fixture
def place(tmp_path):
    """A working folder whose own `pipelines` and `checks` would break whatever imports them."""
    for name in ("pipelines", "checks"):
        (tmp_path / "work" / name).mkdir(parents=True)
        (tmp_path / "work" / name / "__init__.py").write_text("raise RuntimeError('shadowed')\n")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "nights.py").write_text(NIGHT)
    (tmp_path / "lib" / "serve.py").write_text(SERVE)
    return tmp_path


def serving(place, *words, server=None):
    """Serve on an ephemeral server with a database in `place`, or on the given server."""
    env = {name: os.environ[name] for name in os.environ if not name.startswith("PREFECT_")}
    env |= {"PYTHONPATH": str(place / "lib"), "XDG_CACHE_HOME": str(place / "data"), "TZ": "UTC"}
    env |= server.env if server else {}
    return subprocess.Popen(
        [sys.executable, "-P", str(place / "lib" / "serve.py"), *map(str, words)],
        cwd=place / "work", env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def lines(path):
    return path.read_text().splitlines() if path.exists() else []


def wait_for(path, number, seconds):
    until = time.monotonic() + seconds
    while len(lines(path)) < number and time.monotonic() < until:
        time.sleep(0.1)
    return lines(path)


def related(word):
    """Return the processes whose command line or environment holds `word`."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:
            continue
        if word.encode() in text and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def states(database, deployment):
    opened = sqlite3.connect(database)
    try:
        query = (
            "SELECT r.state_name FROM flow_run r JOIN deployment d ON r.deployment_id = d.id"
            " WHERE d.name = ? AND r.state_name != 'Scheduled' ORDER BY r.created"
        )
        return [row[0] for row in opened.execute(query, [deployment])]
    finally:
        opened.close()


def test_a_schedule_fires_in_a_process_nobody_shadows_and_sigterm_ends_it_in_order(place):
    """On a machine without any Prefect server."""
    night = place / "night"
    server = serving(place, "people", "-", night, 0, 0)
    try:
        assert len(wait_for(night, 2, 300)) >= 2, server.stderr.read()
        second = serving(place, "people", "-", night, 0, 0)
        assert "ASSAY-E101" in (told := second.communicate()[1])
        assert "already served" in told
        server.send_signal(signal.SIGTERM)
        start = time.monotonic()
        out, err = server.communicate(timeout=60)
    finally:
        server.kill()
    assert time.monotonic() - start < 30
    assert server.returncode == 0
    assert set(lines(night)) == {str(Path(nightly.__file__).parents[1] / "__init__.py")}
    assert out.splitlines()[-1] == "served"
    assert out.count("a night is done") >= 2
    [line] = err.splitlines()
    assert line.startswith("serving assay-nightly/people on an ephemeral ")
    assert related(str(place / "data")) == []
    kept = place / "data" / "assay" / "prefect"
    assert "Completed" in states(kept / "prefect.db", "people")  # the history stays
    assert kept.stat().st_mode & 0o077 == 0


@pytest.mark.long
def test_an_interrupt_ends_a_night_that_is_running(place, prefect):
    night = place / "night"
    server = serving(place, "interrupted", "-", night, 300, 0, server=prefect)
    try:
        assert len(wait_for(night, 1, 90)) == 1
        time.sleep(5)  # the next night is due, and has to wait
        assert len(lines(night)) == 1
        server.send_signal(signal.SIGINT)
        out, err = server.communicate(timeout=60)
    finally:
        server.kill()
    assert server.returncode == 0
    assert out == "served\n"
    assert "Traceback" not in err
    assert related(str(place / "data")) == []
    assert "Running" not in states(prefect.folder / "prefect.db", "interrupted")


@pytest.mark.long
def test_cron_fires_at_the_minute_and_a_failed_night_is_told_as_failed(place, prefect):
    night = place / "night"
    server = serving(place, "failing", "* * * * *", night, 0, 3, server=prefect)
    try:
        assert len(wait_for(night, 1, 120)) == 1
        time.sleep(3)
        server.send_signal(signal.SIGINT)
        server.communicate(timeout=60)
    finally:
        server.kill()
    assert states(prefect.folder / "prefect.db", "failing")[0] == "Failed"
    assert related(str(place / "data")) == []
