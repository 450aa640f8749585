"""What a person sees in the terminal: the summary on stdout, one line per stage on stderr.

Only a terminal gets colour and a moving bar; a log file gets whole lines, and one every ten seconds
while a stage is still running. Nothing heavy is imported until a bar is drawn.
"""

import contextlib
import dataclasses
import os
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, TextIO

from checks.kit.wording import count
from pipelines import config
from provenance.base.errors import printable

if TYPE_CHECKING:
    import rich.progress

SIGN_OF_LIFE = 10.0  # seconds between the lines of a long stage where there is no terminal
COLUMNS = 96
MARGIN = " " * 9
STYLES = {"pass": "32;1", "fail": "31;1", "warning": "33", "error": "31", "quiet": "2", "bold": "1"}


def is_colored(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether to colour `stream`: NO_COLOR wins, then FORCE_COLOR, then a terminal."""
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or is_live(stream, environ)


def is_live(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether `stream` is a terminal that can move its cursor."""
    return stream.isatty() and environ.get("TERM") != "dumb"


def summary(facts: Mapping[str, Any], *, is_color: bool | None = None) -> str:
    """Return the terminal's text for an `assay.run/1` object: checks, rows, notices, verdict.

    Args:
        facts: what `--json` prints; `run` is null and `error` set if nothing was committed.
        is_color: whether to add ANSI colour, None to ask stdout; the words are the same.
    """
    is_color = is_colored(sys.stdout, os.environ) if is_color is None else is_color
    paint = _painter(is_color=is_color)
    if facts.get("error"):
        return _refusal(facts["error"], paint)
    verdict = facts["verdict"]
    lines = [_line("checks", _checks(facts["checks"], paint)), _line("rows", _rows(facts["rows"]))]
    if any(facts.get("decided", {}).values()):
        lines.append(_line("decided", _decided(facts["decided"])))
    for name in ("reason", "warning"):
        for notice in facts[f"{name}s"]:
            lines += _notice(name, notice, paint)
    lines.append(_line("verdict", paint(verdict, verdict)))
    lines.append(_line("report", printable(f"{facts['path']}/report.html")))
    return "\n".join([*lines, _next(facts), ""])


class Progress:
    """A line on stderr for each stage that ends, and a bar while it runs if that is a terminal.

    Stages may run at once in several threads: `with progress.stage("rules"): ...`. Use it as a
    context manager too, so that no bar and no thread outlives an error.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
        *,
        is_quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
        interval: float = SIGN_OF_LIFE,
    ) -> None:
        """Decide from `stream` (stderr) and `environ` how to report; `clock` returns seconds."""
        environ = os.environ if environ is None else environ
        self._clock = clock
        self._interval = interval
        self._stream = stream or sys.stderr
        self._is_quiet = is_quiet
        self._is_live = is_live(self._stream, environ) and not is_quiet
        self._paint = _painter(is_color=is_colored(self._stream, environ))
        self._bar: rich.progress.Progress | None = None
        self._open: dict[_Stage, rich.progress.TaskID | None] = {}
        self._lock = threading.RLock()
        self._has_ended = threading.Event()
        self._reporter: threading.Thread | None = None

    def __enter__(self) -> Self:
        """Start without a stage."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """End the stages that are still running."""
        self._has_ended.set()
        for stage in list(self._open):
            self._end(stage, is_cut=kind is not None)

    @contextlib.contextmanager
    def stage(self, name: str, *, spent: float = 0.0, is_done: bool = True) -> Iterator[None]:
        """Show a stage for the time of the block.

        Args:
            name: of the stage.
            spent: seconds that an earlier part of it took.
            is_done: whether the block ends the stage; its line says so.
        """
        stage, is_cut = self._begin(name, spent), True
        try:
            yield
            is_cut = False
        finally:
            self._end(stage, is_cut=is_cut, is_done=is_done)

    def _begin(self, name: str, spent: float) -> "_Stage":
        stage = _Stage(printable(name), self._clock() - spent)
        with self._lock:
            task = None
            if self._is_live:
                if self._bar is None:
                    self._bar = _bar(self._stream)
                    self._bar.start()
                task = self._bar.add_task(f"{stage.name:<7}", total=None)
            elif self._reporter is None and not self._is_quiet:
                self._reporter = threading.Thread(target=self._report, daemon=True)
                self._reporter.start()
            self._open[stage] = task
        return stage

    def _report(self) -> None:
        """Say at intervals which stages are still running."""
        while not self._has_ended.wait(self._interval):
            with self._lock:
                for stage in self._open:
                    if (seconds := self._clock() - stage.began) >= self._interval:
                        self._say(_line(stage.name, f"{seconds:.0f} s so far"))

    def _end(self, stage: "_Stage", *, is_cut: bool, is_done: bool = True) -> None:
        """Remove the stage's bar and leave its line; a stage ends once."""
        with self._lock:
            if stage not in self._open:
                return
            task = self._open.pop(stage)
            if self._bar is not None and task is not None:
                self._bar.remove_task(task)
            if self._bar is not None and not self._open:
                self._bar.stop()
                self._bar = None
            seconds = self._paint(f"{self._clock() - stage.began:.1f} s", "quiet")
            stopped = f"{self._paint('stopped', 'error')}  " if is_cut else ""
            if is_cut or is_done:
                self._say(_line(stage.name, stopped + seconds))

    def _say(self, line: str) -> None:
        if self._is_quiet:
            return
        if self._bar is not None:
            from rich.text import Text

            self._bar.console.print(Text.from_ansi(line))
        else:
            self._stream.write(line + "\n")
            self._stream.flush()


@dataclasses.dataclass(frozen=True, eq=False)
class _Stage:
    """A running stage: its name, and when it began."""

    name: str
    began: float


def _bar(stream: TextIO) -> "rich.progress.Progress":
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn(" {task.description}", markup=False),
        BarColumn(bar_width=32),
        TimeElapsedColumn(),
        console=Console(file=stream, force_terminal=True),
        transient=True,
        redirect_stdout=False,  # stdout is for results
    )


def _painter(*, is_color: bool) -> Callable[[str, str], str]:
    def paint(text: str, style: str) -> str:
        code = STYLES.get(style)
        return f"\x1b[{code}m{text}\x1b[0m" if is_color and code else text

    return paint


def _line(name: str, text: str) -> str:
    return f" {name:<7} {text}"


def _checks(checks: list[Mapping[str, Any]], paint: Callable[[str, str], str]) -> str:
    """Return each check with its number of findings, those that did not run first; wrapped."""
    words = {"failed": "DID NOT RUN (crashed)", "timeout": "DID NOT RUN (timed out)"}
    lines: list[list[str]] = [[]]
    width = 0
    for check in sorted(checks, key=lambda check: check["status"] not in words):
        status, style = check["status"], ""
        if status == "ok":
            result = f"{check['findings']:,}" if check["findings"] else "ok"
        elif status == "skipped":
            result, style = "skipped", "quiet"
        else:
            result, style = words.get(status, "DID NOT RUN"), "error"
        text = f"{printable(check['check'])} {result}"
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


def _decided(counts: Mapping[str, int]) -> str:
    return f"{count(counts['rows'], 'row')} as decided before, {counts['asked']:,} asked anew"


def _notice(name: str, notice: Mapping[str, str], paint: Callable[[str, str], str]) -> list[str]:
    where = f" ({notice['where']})" if notice.get("where") else ""
    text = printable(f"{notice['code']} {notice['message']}{where}")
    first, *rest = textwrap.wrap(text, COLUMNS - len(MARGIN)) or [""]
    style = "error" if name == "reason" else "warning"
    return [f" {paint(f'{name:<7}', style)} {first}", *(MARGIN + line for line in rest)]


def _next(facts: Mapping[str, Any]) -> str:
    run, held = facts["run"], facts["rows"]["quarantine"]
    store = config.store_words(Path(facts["path"]).parents[1])
    steps = [f"`assay review {run} --list{store}` ({count(held, 'row')})"] if held else []
    if facts["reasons"]:
        steps.append(f"`assay explain {facts['reasons'][0]['code']}`")
    return "next: " + " or ".join(steps or [f"`assay verify {run}{store}`"])


def _refusal(error: Mapping[str, str], paint: Callable[[str, str], str]) -> str:
    lines = [f"{paint(error['code'], 'fail')}: {printable(error['message'])}"]
    lines += [f"  where: {printable(error['where'])}"] if error.get("where") else []
    lines += [f"  fix:   {printable(error['fix'])}"] if error.get("fix") else []
    return "\n".join([*lines, ""])
