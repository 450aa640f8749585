"""The terminal: the same words with and without colour, one line a stage, and no heavy import."""

import io
import re
import subprocess
import sys
import threading
import time

import pytest

from pipelines import cli, console
from provenance.base.errors import AssayError

TOLD = {
    "schema": "assay.run/1",
    "run": 7,
    "path": "assay-store/runs/000000000007",
    "verdict": "fail",
    "rows": {"source": 120_000, "clean": 119_493, "quarantine": 497, "rejected": 10},
    "checks": [
        {"check": "labels", "status": "ok", "findings": 412, "rows": 412, "seconds": 2.1},
        {"check": "drift", "status": "ok", "findings": 0, "rows": 0, "seconds": 0.4},
        {"check": "sources", "status": "skipped", "findings": 0, "rows": 0, "seconds": 0.0},
        {"check": "poison", "status": "timeout", "findings": 0, "rows": 0, "seconds": 60.0},
    ],
    "reasons": [{"code": "ASSAY-K002", "message": "poison ran out of time", "where": "60 s"}],
    "warnings": [{"code": "ASSAY-K020", "message": "names were not searched for", "where": ""}],
    "timings": {"total": 9.8},
    "error": None,
}


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_summary_says_rows_checks_reasons_and_what_to_do_next():
    assert console.summary(TOLD, is_color=False).splitlines() == [
        " checks  poison DID NOT RUN (timed out) | labels 412 | drift ok | sources skipped",
        " rows    120,000 = 119,493 clean + 497 quarantined (0.41 %) + 10 rejected",
        " reason  ASSAY-K002 poison ran out of time (60 s)",
        " warning ASSAY-K020 names were not searched for",
        " verdict fail",
        " report  assay-store/runs/000000000007/report.html",
        "next: `assay review 7 --list` (497 rows) or `assay explain ASSAY-K002`",
    ]


def test_summary_of_a_clean_pass_leads_to_verify():
    rows = {"source": 5, "clean": 5, "quarantine": 0, "rejected": 0}
    text = console.summary({**TOLD, "verdict": "pass", "rows": rows, "reasons": [], "checks": []})
    assert text.endswith("next: `assay verify 7`\n")


def test_colour_changes_no_word():
    plain, colored = (console.summary(TOLD, is_color=flag) for flag in (False, True))
    assert "\x1b" not in plain
    assert colored != plain
    assert re.sub(r"\x1b\[[\d;]*m", "", colored) == plain


def test_no_line_is_wider_than_it_should_be():
    many = [{**TOLD["checks"][0], "check": f"check_number_{i}"} for i in range(40)]
    reason = {"code": "ASSAY-K010", "message": "columns drifted: " + "name, " * 90, "where": ""}
    text = console.summary({**TOLD, "checks": many, "reasons": [reason]}, is_color=False)
    assert max(map(len, text.splitlines())) <= console.COLUMNS


def test_summary_of_a_refusal_is_code_place_and_fix():
    error = AssayError("I005", "checksum\x1b[2J", where="a.parquet", fix="restore it").as_dict()
    text = console.summary(
        {**TOLD, "run": None, "verdict": "error", "error": error}, is_color=False
    )
    assert text == "ASSAY-I005: checksum\\u001b[2J\n  where: a.parquet\n  fix:   restore it\n"


def test_text_of_others_cannot_drive_the_terminal():
    notice = {"code": "ASSAY-K010", "message": "a\x1b]0;x\x07\u202eb", "where": ""}
    text = console.summary({**TOLD, "warnings": [notice]}, is_color=False)
    assert "\x1b" not in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("stream", "environ", "wanted"),
    [
        (Terminal(), {}, True),
        (io.StringIO(), {}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (Terminal(), {"NO_COLOR": ""}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (io.StringIO(), {"FORCE_COLOR": "1"}, True),
        (Terminal(), {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
    ],
)
def test_colour_is_asked_for_or_a_terminal_and_never_forbidden(stream, environ, wanted):
    assert console.is_colored(stream, environ) is wanted


def test_one_line_a_stage_where_there_is_no_terminal():
    stream, clock = io.StringIO(), Clock()
    with console.Progress(stream, {}, clock=clock) as progress:
        with progress.stage("ingest"):
            clock.now = 0.44
        with progress.stage("checks"):
            clock.now = 2.5
    assert stream.getvalue() == " ingest  0.4 s\n checks  2.1 s\n"


def test_a_long_stage_says_again_and_again_that_it_runs():
    stream = io.StringIO()
    with console.Progress(stream, {}, interval=0.02) as progress:
        with progress.stage("fit"):
            until = time.monotonic() + 20
            while stream.getvalue().count(" fit     0 s so far\n") < 2:
                assert time.monotonic() < until
                time.sleep(0.01)
        reporter = progress._reporter
    reporter.join(20)
    assert not reporter.is_alive()
    assert console.SIGN_OF_LIFE == 10


def test_a_stage_cut_short_says_so():
    stream = io.StringIO()
    progress = console.Progress(stream, {}, clock=Clock())

    def work():
        outer = progress.stage("outer")
        with progress:
            outer.__enter__()  # as in a thread that hangs
            with progress.stage("inner"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    told = re.sub(r"\d+\.\d s", "T s", stream.getvalue())  # however busy the machine is
    assert told == " inner   stopped  T s\n outer   stopped  T s\n"


def test_quiet_is_silent():
    stream = Terminal()
    quiet = console.Progress(stream, {}, is_quiet=True, interval=0.01)
    with quiet as progress, progress.stage("fit"):
        time.sleep(0.05)
    assert stream.getvalue() == ""


def test_a_terminal_gets_a_bar_that_is_gone_at_the_end():
    stream = Terminal()
    with console.Progress(stream, {"NO_COLOR": "1"}) as progress, progress.stage("fit"):
        time.sleep(0.2)
    text = stream.getvalue()
    assert "━" in text
    assert "\x1b[?25h" in text  # the cursor is back
    assert re.search(r" fit     \d+\.\d s", text.splitlines()[-1])


def test_stages_side_by_side_each_leave_a_line():
    for stream in (io.StringIO(), Terminal()):
        with console.Progress(stream, {"NO_COLOR": "1"}) as progress:

            def work(name, progress=progress):
                with progress.stage(name):
                    pass

            threads = [threading.Thread(target=work, args=(f"s{i}",)) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        assert all(f" s{i}      0." in stream.getvalue() for i in range(4))


def test_what_is_printed_while_a_bar_moves_stays_on_stdout(capsys):
    with console.Progress(Terminal(), {}) as progress, progress.stage("fit"):
        print("a result")
    assert capsys.readouterr().out == "a result\n"


def test_import_is_light():
    heavy = ["rich", "jinja2", "pyarrow", "numpy", "pandas", "duckdb", "prefect", "sklearn"]
    code = f"import sys, pipelines.console; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_debug_shows_where_but_not_what_an_exception_quotes(monkeypatch, capsys):
    cell = "jane.roe@example.org"

    def fails(_):
        try:
            int(cell)
        except ValueError:
            {}[cell]

    monkeypatch.setattr("pipelines.commands.doctor.main", fails)
    assert cli.main(["doctor", "--debug"]) == 3
    shown = capsys.readouterr().err
    assert "ValueError\nwhich led to\n" in shown
    assert "KeyError\n" in shown
    assert "in fails" in shown
    assert "jane" not in shown
