"""What the gate hands to a command is what it checked, whatever happens to the run's files."""

import errno
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from gated import Home

from pipelines.commands import gate
from pipelines.run import handover, reuse
from provenance.base import store_door
from provenance.base.errors import AssayError
from provenance.ledger import run_files, signing

ASSAY = str(Path(sys.executable).parent / "assay")
READ = 'sha256sum "$ASSAY_CLEAN"/part-00000.parquet | cut -d" " -f1 > read'
HANG = 60  # seconds


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Home(tmp_path)


def recorded(entry, name="clean/part-00000.parquet"):
    return next(file["sha256"] for file in entry.facts["outputs"] if file["name"] == name)


def staged(home):
    return sorted(path.name for path in (home.folder / "store" / "staging").glob("*"))


def appears(path):
    until = time.monotonic() + HANG
    while not path.exists():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize(
    "change",
    [
        "printf x >> store/runs/000000000001/clean/part-00000.parquet",
        "cp a.csv other && mv other store/runs/000000000001/clean/part-00000.parquet",
        "printf x | dd of=linked bs=1 seek=200 conv=notrunc 2> dd",
        "mv store/runs/000000000001 away && mkdir -p store/runs/000000000001/clean",
    ],
    ids=["appended to", "swapped", "through an earlier hard link", "the folder swapped"],
)
def test_a_change_after_the_check_reaches_no_reader(home, change):
    entry = home.passed()
    os.link(home.clean, "linked")
    before = home.clean.read_bytes()
    assert home.gate(command=["sh", "-c", f"{change}; {READ}"]) == 0
    assert Path("read").read_text().strip() == recorded(entry)
    assert not home.clean.exists() or home.clean.read_bytes() != before
    assert staged(home) == []
    assert home.gate("--json") == 4  # the run itself is broken from then on


def test_the_copy_is_private_and_goes_with_the_command(home):
    entry = home.passed()
    job = (
        'stat -c %a "$ASSAY_CLEAN" "$ASSAY_CLEAN"/.. "$ASSAY_CLEAN"/* "$ASSAY_MANIFEST" > modes;'
        'sha256sum < "$ASSAY_MANIFEST" | cut -d" " -f1 > manifest; ls "$ASSAY_CLEAN" > names;'
        'echo "$ASSAY_CLEAN" > place; echo "$ASSAY_RUN" > number; exit 5'
    )
    assert home.gate(command=["sh", "-c", job]) == 5
    assert Path("modes").read_text().split() == ["700", "700", "400", "400"]
    assert Path("manifest").read_text().strip() == recorded(entry, "manifest.json")
    assert Path("names").read_text().split() == ["part-00000.parquet"]
    assert Path("number").read_text().strip() == "1"
    place = Path(Path("place").read_text().strip())
    assert place.is_relative_to(home.folder / "store" / "staging")
    assert not place.exists()
    assert staged(home) == []
    assert len(home.accesses()) == 1


@pytest.mark.parametrize("name", ["clean/part-00000.parquet", "report.html"])
@pytest.mark.parametrize("options", [(), ("--in-place",)], ids=["a copy", "in place"])
def test_a_broken_run_is_neither_handed_over_nor_recorded(home, capsys, name, options):
    home.passed()
    with (home.store.run_folder(1) / name).open("ab") as file:
        file.write(b"x")
    assert home.gate(*options, "--json", command=["touch", "started"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-L011"
    assert not Path("started").exists()
    assert (home.accesses(), staged(home)) == ([], [])


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: Path(path).symlink_to("/etc/hostname")])
def test_what_is_no_file_in_a_run_shuts_the_gate_and_is_not_waited_for(home, capsys, make):
    home.passed()
    make(home.store.run_folder(1) / "clean" / "part-00001.parquet")
    assert home.gate("--json", command=["touch", "started"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-L011"
    assert not Path("started").exists()


def test_in_place_a_change_meanwhile_is_told_although_the_command_was_content(home, capsys):
    home.passed()
    job = 'test "$ASSAY_CLEAN" -ef store/runs/000000000001/clean'
    assert home.gate("--in-place", command=["sh", "-c", job]) == 0
    assert home.gate("--in-place", command=["sh", "-c", f"{job}; exit 3"]) == 3
    capsys.readouterr()
    job = 'printf x >> "$ASSAY_CLEAN"/part-00000.parquet'
    assert home.gate("--in-place", command=["sh", "-c", job]) == 4
    told = capsys.readouterr().err
    assert "ASSAY-L011" in told
    assert "while the command ran" in told


def test_the_files_of_a_new_run_are_checked_before_they_are_handed_over(home, monkeypatch, capsys):
    entry = home.passed()
    with home.clean.open("ab") as file:  # by whoever was quicker than the gate
        file.write(b"x")

    class Made:
        verdict = type("Passed", (), {"passed": True})
        is_interrupted = False
        warnings = ()

    Made.entry = entry
    monkeypatch.setattr(gate, "reusable", lambda *_: None)
    monkeypatch.setattr(gate, "execute", lambda *_: Made)
    assert home.gate("--json", command=["touch", "started"]) == 4
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-L011"
    assert not Path("started").exists()


def test_a_full_disk_names_the_way_out_and_leaves_nothing(home, monkeypatch, capsys):
    home.passed()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(run_files, "_write_all", full)
    monkeypatch.setattr(run_files, "_shares_blocks", lambda *_: False)
    assert home.gate("--json", command=["touch", "started"]) == 3
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["code"] == "ASSAY-E002"
    assert "--in-place" in error["fix"]
    assert not Path("started").exists()
    assert (home.accesses(), staged(home)) == ([], [])
    monkeypatch.undo()


def test_the_command_has_the_users_umask_no_key_and_no_descriptor(home, monkeypatch):
    key = home.folder / "key.pem"
    signing.load_or_make(key)
    monkeypatch.setenv("ASSAY_SIGNING_KEY", key.read_text())
    home.passed()
    job = "umask > mask; env > environment; ls -l /proc/self/fd > descriptors; touch made"
    before = os.umask(0o026)
    try:
        assert home.gate(command=["sh", "-c", job]) == 0
        assert store_door.own_umask() == 0o026
    finally:
        os.umask(before)
    assert Path("mask").read_text().strip() == "0026"
    assert Path("made").stat().st_mode & 0o777 == 0o640
    environment = Path("environment").read_text()
    assert "PRIVATE KEY" not in environment
    assert "ASSAY_SIGNING_KEY" not in environment
    assert "ASSAY_CLEAN" in environment
    assert str(home.folder / "store") not in Path("descriptors").read_text()


def test_another_gate_leaves_the_copy_of_a_command_that_runs_and_sweeps_that_of_a_dead_gate(home):
    home.passed()
    job = 'echo "$ASSAY_CLEAN" > place; while test ! -e go; do sleep 0.05; done; ls "$ASSAY_CLEAN"'
    first = subprocess.Popen(
        [ASSAY, *home.words(command=["sh", "-c", job])], stdout=subprocess.PIPE, text=True
    )
    appears(Path("place"))
    assert home.gate() == 0
    [alive] = [name for name in staged(home) if name.endswith(".alive")]
    Path("go").touch()
    assert first.communicate(timeout=HANG)[0].split() == ["part-00000.parquet"]
    assert first.returncode == 0
    assert staged(home) == []
    for path in ("go", "place"):
        Path(path).unlink()
    dead = subprocess.Popen([ASSAY, *home.words(command=["sh", "-c", job])],
                            stdout=subprocess.DEVNULL)  # fmt: skip
    appears(Path("place"))
    dead.send_signal(signal.SIGKILL)
    dead.wait(HANG)
    assert len(staged(home)) == 2
    assert alive not in staged(home)
    assert home.gate() == 0
    assert staged(home) == []
    Path("go").touch()  # the command that lost its gate ends


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_during_the_copy_starts_nothing_and_leaves_nothing(
    home, monkeypatch, capsys, number
):
    home.passed()
    whole = run_files.copy

    def copy(*given):
        os.kill(os.getpid(), number)
        whole(*given)

    monkeypatch.setattr(run_files, "copy", copy)
    assert home.gate("--json", command=["touch", "started"]) == 130
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-E130"
    assert not Path("started").exists()
    assert (home.accesses(), staged(home)) == ([], [])


def test_a_signal_while_the_command_is_being_started_reaches_it(home, monkeypatch):
    home.passed()
    whole = subprocess.Popen

    def started(*given, **named):
        made = whole(*given, **named)
        appears(Path("ready"))
        os.kill(os.getpid(), signal.SIGTERM)  # the gate does not know the process yet
        return made

    monkeypatch.setattr(handover.subprocess, "Popen", started)
    job = "trap 'exit 9' TERM; touch ready; while :; do sleep 0.05; done"
    assert home.gate(command=["sh", "-c", job]) == 9
    assert staged(home) == []


def test_a_recorded_name_that_leaves_the_run_is_refused(home):
    entry = home.passed()
    facts = entry.facts
    facts["outputs"].append({"name": "clean/../../up", "size": 1, "sha256": "0" * 64})
    forged = type("Forged", (), {"seq": entry.seq, "facts": facts})
    with (
        pytest.raises(AssayError, match="L011"),
        handover.delivered(home.store, forged, in_place=False),
    ):
        pass
    assert staged(home) == []


def test_a_source_that_is_not_what_was_recorded_beside_it_is_refused_on_reuse_too(home, capsys):
    home.passed()
    digest = hashlib.sha256(Path("a.csv").read_bytes()).hexdigest()
    Path("a.csv.sha256").write_text(f"{digest}  a.csv\n")
    assert home.gate() == 0
    Path("a.csv.sha256").write_text(f"{'0' * 64}  a.csv\n")
    capsys.readouterr()
    assert home.gate("--json", command=["touch", "started"]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "ASSAY-I005"
    assert not Path("started").exists()


def test_nothing_that_the_gate_prints_moves_the_terminal(home, capsys):
    home.passed(warnings=[{"code": "ASSAY-K020", "message": "of \x1b[2Jcol", "where": ""}])
    assert home.gate() == 0
    told = capsys.readouterr().err
    assert "\x1b" not in told
    assert "\\u001b[2Jcol" in told
    reason = type("Reason", (), {"code": "ASSAY-K014", "message": "rule \x1b]0;x\x07"})
    verdict = type("Failed", (), {"word": "fail", "reasons": [reason], "exit_code": 1})
    entry = type("Entry", (), {"seq": 3})
    made = type("Made", (), {"entry": entry, "verdict": verdict, "warnings": (),
                             "folder": Path("a\x1b[1m")})  # fmt: skip
    assert gate._refuse(made, home.store) == 1
    assert "\x1b" not in capsys.readouterr().err


def grown(source, _):
    """Let a file grow by itself between the look at its size and the reading."""
    os.truncate(source, 3 << 30)
    return ""


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_no_more_is_copied_than_is_recorded(tmp_path, monkeypatch, when):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "part").write_bytes(b"x" * 5000)
    file = {"name": "part", "size": 5000, "sha256": hashlib.sha256(b"x" * 5000).hexdigest()}
    run_files.copy(tmp_path / "run", 1, file, tmp_path / "whole")
    assert (tmp_path / "whole").read_bytes() == b"x" * 5000
    written, whole = [], run_files._write_all
    monkeypatch.setattr(
        run_files,
        "_write_all",
        lambda made, block: (written.append(len(block)), whole(made, block)),
    )
    monkeypatch.setattr(run_files, "_shares_blocks", lambda *_: False)
    if when == "before":
        os.truncate(tmp_path / "run" / "part", 3 << 30)
    else:
        path = tmp_path / "run" / "part"
        monkeypatch.setattr(run_files, "_size_within", lambda *_: grown(path, file))
    with pytest.raises(AssayError, match="recorded") as refused:
        run_files.copy(tmp_path / "run", 1, file, tmp_path / "copy")
    assert refused.value.code == "ASSAY-L011"
    assert written == []
    assert not (tmp_path / "copy").exists()


def test_a_copy_that_cannot_be_written_does_not_stay(tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "part").write_bytes(b"x")
    file = {"name": "part", "size": 1, "sha256": hashlib.sha256(b"x").hexdigest()}

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(run_files, "_shares_blocks", lambda *_: False)
    monkeypatch.setattr(run_files, "_write_all", full)
    with pytest.raises(OSError, match="No space"):
        run_files.copy(tmp_path / "run", 1, file, tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


def test_who_finds_a_stray_file_is_not_told_to_restore_it(home, capsys):
    home.passed()
    (home.store.run_folder(1) / ".DS_Store").touch()
    assert home.gate("--json", command=["touch", "started"]) == 4
    assert "inspect it, then remove it" in json.loads(capsys.readouterr().out)["error"]["fix"]


def test_the_folders_of_a_partition_are_part_of_what_was_checked():
    def facts(name):
        inputs = [{"sha256": "0" * 64, "name": name}]
        same = {"contract": {"sha256": ""}, "code": {"sha256": ""}, "policy": {}, "reference": []}
        return same | {"inputs": inputs}

    one, two, three = (facts(f"in/{folder}/a.csv") for folder in ("dt=1", "dt=2", "dt=1"))
    assert reuse._given(one, one) != reuse._given(two, two)
    assert reuse._given(one, one) == reuse._given(three, three)
