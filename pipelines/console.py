"""What a person sees in the terminal: a summary for stdout, one line a stage for stderr.

Colour and a moving bar only on a terminal that wants them; a log file gets whole lines, and a
long stage says every ten seconds that it lives. Nothing heavy is imported until a bar is drawn.
"""

import textwrap
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from provenance.codes import CODES
from provenance.errors import printable

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


def summary(told: Mapping[str, Any], *, is_color: bool = False) -> str:
    """Return the terminal's text for an `assay.run/1` object: verdict, rows, checks, reasons, next.

    Args:
        told: the object that `--json` prints (`run` null and `error` set if nothing was committed).
        is_color: whether to add ANSI colour; without it the text is the same.
    """
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
    return "\n".join([*lines, _next(told)])


class Progress:
    """One line a stage on stderr, and a bar while it runs where there is a terminal.

    Use as a context manager, so that a bar never outlives an error.
    """

    def __init__(
        self,
        stream: TextIO,
        environ: Mapping[str, str],
        *,
        is_quiet: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Decide once from `stream` and `environ` how to speak; `clock` gives seconds."""
        self._stream = stream
        self._clock = clock
        self._is_quiet = is_quiet
        self._is_live = is_live(stream, environ) and not is_quiet
        self._paint = _painter(is_color=is_colored(stream, environ))
        self._bar: rich.progress.Progress | None = None
        self._stage = ""
        self._total: int | None = None
        self._count = 0
        self._began = self._spoke = 0.0

    def __enter__(self) -> Self:
        """Start with no stage."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away; a stage that an exception cut short says so."""
        if self._stage:
            self._close(self._paint("stopped", "error") if kind else "")

    def stage(self, name: str, total: int | None = None) -> None:
        """Begin a stage of `total` steps (None: unknown); one that still runs is done."""
        if self._stage:
            self.done()
        self._stage, self._total, self._count = name, total, 0
        self._began = self._spoke = self._clock()
        if self._is_live:
            self._bar = _bar(self._stream)
            self._bar.start()
            self._bar.add_task(f"{printable(name):<7}", total=total)

    def advance(self, count: int = 1) -> None:
        """Say that `count` more steps of the stage are done."""
        self._count += count
        if self._bar is not None:
            self._bar.advance(self._bar.task_ids[0], count)
        elif self._clock() - self._spoke >= SIGN_OF_LIFE:
            self._spoke = self._clock()
            of = f" of {self._total:,}" if self._total else ""
            self._say(_line(self._stage, f"{self._count:,}{of} so far"))

    def done(self, note: str = "") -> None:
        """End the stage and leave one line with `note` and its seconds."""
        self._close(printable(note))

    def _close(self, note: str) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        seconds = self._paint(f"{self._clock() - self._began:.1f} s", "quiet")
        self._say(_line(self._stage, f"{note}  {seconds}" if note else seconds))
        self._stage = ""

    def _say(self, line: str) -> None:
        if not self._is_quiet:
            self._stream.write(line + "\n")
            self._stream.flush()


def _bar(stream: TextIO) -> "rich.progress.Progress":
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn(" {task.description}"),
        BarColumn(bar_width=32),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(file=stream, force_terminal=True),
        transient=True,
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
    lines = [f" {paint(f'{name:<7}', style)} {first}", *(MARGIN + line for line in rest)]
    fix = CODES.get(notice["code"].removeprefix("ASSAY-"), ("", ""))[1]
    return [*lines, f"{MARGIN}fix: {fix}"] if fix and name == "reason" else lines


def _next(told: Mapping[str, Any]) -> str:
    run, held = told["run"], told["rows"]["quarantine"]
    steps = [f"`assay review {run}` ({held:,} row{'' if held == 1 else 's'})"] if held else []
    if told["reasons"]:
        steps.append(f"`assay explain {told['reasons'][0]['code']}`")
    return "next: " + " or ".join(steps or [f"`assay verify {run}`"])


def _refusal(error: Mapping[str, str], paint: Callable[[str, str], str]) -> str:
    lines = [f"{paint(error['code'], 'fail')}: {printable(error['message'])}"]
    lines += [f"  where: {printable(error['where'])}"] if error.get("where") else []
    lines += [f"  fix:   {printable(error['fix'])}"] if error.get("fix") else []
    return "\n".join(lines)
