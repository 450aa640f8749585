"""What a person sees in the terminal: a summary for stdout, one line a stage for stderr.

Colour and a moving bar only on a terminal that wants them; a log file gets whole lines, and a
long stage says every ten seconds that it lives. Nothing heavy is imported until a bar is drawn.
"""

import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from pipelines import config
from provenance.base.errors import printable

if TYPE_CHECKING:
    import rich.progress

SIGN_OF_LIFE = 10.0  # seconds between lines of a long stage that has no terminal
COLUMNS = 96
MARGIN = " " * 9
STYLES = {"pass": "32;1", "fail": "31;1", "warning": "33", "error": "31", "quiet": "2", "bold": "1"}


def is_colored(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether `stream` gets colour: NO_COLOR wins, then FORCE_COLOR, then a terminal."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or is_live(stream, environ)


def is_live(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Tell whether `stream` is a terminal that can move its cursor."""
    return stream.isatty() and environ.get("TERM") != "dumb"


def summary(told: Mapping[str, Any], *, is_color: bool | None = None) -> str:
    """Return the terminal's text for an `assay.run/1` object: verdict, rows, checks, reasons, next.

    Args:
        told: the object that `--json` prints (`run` null and `error` set if nothing was committed).
        is_color: whether to add ANSI colour, None to ask stdout; the text is the same either way.

    Returns:
        Lines, each with its line end.
    """
    is_color = is_colored(sys.stdout, os.environ) if is_color is None else is_color
    paint = _painter(is_color=is_color)
    if told.get("error"):
        return _refusal(told["error"], paint)
    verdict = told["verdict"]
    lines = [_line("checks", _checks(told["checks"], paint)), _line("rows", _rows(told["rows"]))]
    for notice in told["reasons"]:
        lines += _notice("reason", notice, paint)
    for notice in told["warnings"]:
        lines += _notice("warning", notice, paint)
    lines.append(_line("verdict", paint(verdict, verdict)))
    lines.append(_line("report", printable(f"{told['path']}/report.html")))
    return "\n".join([*lines, _next(told), ""])


class Stage:
    """One stage that is under way; ends as a context manager or by `done`."""

    def __init__(self, name: str, total: int | None, speaker: "Progress") -> None:
        """Begin now; made by `Progress.stage`."""
        self.name, self.total = name, total
        self.count = 0
        self.note = ""
        self.began = self.spoke = speaker.clock()
        self._speaker = speaker

    def __enter__(self) -> Self:
        """Return the stage, which has begun."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the stage; one that an exception cut short says so."""
        self._speaker.end(self, is_cut=kind is not None)

    def advance(self, count: int = 1) -> None:
        """Say that `count` more of the stage's steps are done."""
        self._speaker.move(self, count)

    def done(self, note: str = "") -> None:
        """End the stage and leave one line with `note` and its seconds."""
        self.note = note
        self._speaker.end(self)


class Progress:
    """One line a stage on stderr, and a bar for each while it runs where there is a terminal.

    Use as a context manager, so that no bar outlives an error. Stages may run side by side in
    threads: `with progress.stage("fit", 12) as stage: stage.advance()`. For stages one after the
    other, `progress.stage(...)`, `progress.advance()` and `progress.done(note)` do the same.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        is_quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Decide once from `stream` (stderr) and `environ` how to speak; `clock` gives seconds."""
        environ = os.environ if environ is None else environ
        self.clock = clock
        self._stream = stream or sys.stderr
        self._is_quiet = is_quiet
        self._is_live = is_live(self._stream, environ) and not is_quiet
        self._paint = _painter(is_color=is_colored(self._stream, environ))
        self._bar: rich.progress.Progress | None = None
        self._open: dict[Stage, rich.progress.TaskID | None] = {}
        self._lock = threading.RLock()

    def __enter__(self) -> Self:
        """Start with no stage."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End what is still open."""
        for stage in list(self._open):
            self.end(stage, is_cut=kind is not None)

    def stage(self, name: str, total: int | None = None) -> Stage:
        """Begin a stage of `total` steps (None: unknown)."""
        stage = Stage(name, total, self)
        with self._lock:
            task = None
            if self._is_live:
                if self._bar is None:
                    self._bar = _bar(self._stream)
                    self._bar.start()
                task = self._bar.add_task(f"{printable(name):<7}", total=total)
            self._open[stage] = task
        return stage

    def advance(self, count: int = 1) -> None:
        """Advance the stage that began last."""
        self.move(next(reversed(self._open)), count)

    def done(self, note: str = "") -> None:
        """End the stage that began last."""
        next(reversed(self._open)).done(note)

    def move(self, stage: Stage, count: int) -> None:
        """Count steps of a stage; where there is no bar, say at times that it lives."""
        with self._lock:
            stage.count += count
            task = self._open.get(stage)
            if self._bar is not None and task is not None:
                self._bar.advance(task, count)
            elif self.clock() - stage.spoke >= SIGN_OF_LIFE:
                stage.spoke = self.clock()
                of = f" of {stage.total:,}" if stage.total else ""
                self._say(_line(stage.name, f"{stage.count:,}{of} so far"))

    def end(self, stage: Stage, *, is_cut: bool = False) -> None:
        """Take the stage's bar away and leave its line; a stage ends once."""
        with self._lock:
            if stage not in self._open:
                return
            task = self._open.pop(stage)
            if self._bar is not None and task is not None:
                self._bar.remove_task(task)
            if self._bar is not None and not self._open:
                self._bar.stop()
                self._bar = None
            seconds = self._paint(f"{self.clock() - stage.began:.1f} s", "quiet")
            notes = [printable(stage.note), self._paint("stopped", "error") if is_cut else ""]
            self._say(_line(stage.name, "  ".join([*filter(None, notes), seconds])))

    def _say(self, line: str) -> None:
        if self._is_quiet:
            return
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text.from_ansi(line))
        else:
            self._stream.write(line + "\n")
            self._stream.flush()


def _bar(stream: TextIO) -> "rich.progress.Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn(" {task.description}", markup=False),
        BarColumn(bar_width=32),
        TimeElapsedColumn(),
        console=Console(file=stream, force_terminal=True),
        transient=True,
        redirect_stdout=False,  # results go to stdout, whatever the bar does
    )


def _painter(*, is_color: bool) -> Callable[[str, str], str]:
    def paint(text: str, style: str) -> str:
        code = STYLES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if is_color and code else text

    return paint


def _line(name: str, text: str) -> str:
    return f" {name:<7} {text}"


def _checks(checks: list[Mapping[str, Any]], paint: Callable[[str, str], str]) -> str:
    """Return each check with its findings, those that did not run first; wrapped."""
    words = {"failed": "DID NOT RUN (crashed)", "timeout": "DID NOT RUN (out of time)"}
    order = sorted(checks, key=lambda check: check["status"] not in words)
    parts = []
    for check in order:
        status, name = check["status"], printable(check["check"])
        if status == "ok":
            parts.append(
                (f"{name} {check['findings']:,}" if check["findings"] else f"{name} ok", "")
            )
        elif status == "skipped":
            parts.append((f"{name} skipped", "quiet"))
        else:
            parts.append((f"{name} {words.get(status, 'DID NOT RUN')}", "error"))
    lines: list[list[str]] = [[]]
    width = 0
    for text, style in parts:
        if width + len(text) > COLUMNS - len(MARGIN):
            lines.append([])
            width = 0
        lines[-1].append(paint(text, style))
        width += len(text) + 3
    return f"\n{MARGIN}".join(" | ".join(line) for line in lines)


def _rows(rows: Mapping[str, int]) -> str:
    share = 100 * rows["quarantine"] / max(rows["source"], 1)
    held = f"{rows['quarantine']:,} quarantined ({share:.2f} %)"
    return f"{rows['source']:,} = {rows['clean']:,} clean + {held} + {rows['rejected']:,} rejected"


def _notice(name: str, notice: Mapping[str, str], paint: Callable[[str, str], str]) -> list[str]:
    where = f" ({notice['where']})" if notice.get("where") else ""
    text = printable(f"{notice['code']} {notice['message']}{where}")
    first, *rest = textwrap.wrap(text, COLUMNS - len(MARGIN)) or [""]
    style = "error" if name == "reason" else "warning"
    return [f" {paint(f'{name:<7}', style)} {first}", *(MARGIN + line for line in rest)]


def _next(told: Mapping[str, Any]) -> str:
    run, held = told["run"], told["rows"]["quarantine"]
    rows = f"{held:,} row{'' if held == 1 else 's'}"
    store = config.store_words(Path(told["path"]).parents[1])
    steps = [f"`assay review {run} --list{store}` ({rows})"] if held else []
    if told["reasons"]:
        steps.append(f"`assay explain {told['reasons'][0]['code']}`")
    return "next: " + " or ".join(steps or [f"`assay verify {run}{store}`"])


def _refusal(error: Mapping[str, str], paint: Callable[[str, str], str]) -> str:
    lines = [f"{paint(error['code'], 'fail')}: {printable(error['message'])}"]
    lines += [f"  where: {printable(error['where'])}"] if error.get("where") else []
    lines += [f"  fix:   {printable(error['fix'])}"] if error.get("fix") else []
    return "\n".join([*lines, ""])
