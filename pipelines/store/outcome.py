"""The outcome of a run or release: what `--json` prints and the terminal sums up.

Nothing heavy is imported at the top: the command line builds the object of a refusal from here too.
"""

import dataclasses
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from provenance.base.errors import AssayError, Notice

if TYPE_CHECKING:
    import pyarrow as pa

    from checks.kit.verdict import Verdict
    from pipelines.checking.examine import Status
    from provenance.ledger.entry import Entry
    from provenance.ledger.run_reader import RunReader


@dataclasses.dataclass(frozen=True, slots=True)
class Fated:
    """How many rows went where, and the root of their lineage in hex."""

    source: int = 0
    clean: int = 0
    quarantine: int = 0
    rejected: int = 0
    root: str = ""

    def as_dict(self) -> dict[str, int]:
        """Return the object under `rows` in `--json`."""
        counts = dataclasses.asdict(self)
        counts.pop("root")
        return counts


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """A committed run: its verdict, its counts of rows, and its files.

    The tables are checked against the digests in the signed entry as they are read.

    Attributes:
        entry: the signed entry of the ledger; `entry.seq` is the run's number.
        folder: where the run's files are.
        verdict: `verdict.word` is `pass` or `fail`; `verdict.reasons` says why.
        rows: counts by fate: `source`, `clean`, `quarantine`, `rejected`.
        statuses: how each check fared.
        warnings: notices that did not change the verdict.
        timings: seconds per stage, and `total`.
        is_interrupted: whether an interrupt came after the run was committed.
    """

    entry: "Entry"
    folder: Path
    verdict: "Verdict"
    rows: Fated
    statuses: "tuple[Status, ...]" = ()
    warnings: tuple[Notice, ...] = ()
    timings: Mapping[str, float] = dataclasses.field(default_factory=dict)
    is_interrupted: bool = False

    def clean_files(self) -> list[Path]:
        """Return the Parquet files of the clean dataset, in order."""
        return [self.folder / name for name in self._files().names("clean")]

    def clean(self) -> "pa.Table":
        """Return the clean dataset in memory; ASSAY-L011 if a file was changed."""
        return self._table("clean")

    def quarantine(self) -> "pa.Table":
        """Return the quarantined rows as read, with `_row` and `_reasons`; else as `clean`.

        The table has no columns if no row was quarantined.
        """
        return self._table("quarantine")

    def rejected(self) -> "pa.Table":
        """Return the rejected rows as `_row`, `_raw` and `_reason`; else as `quarantine`."""
        return self._table("rejected")

    def findings(self) -> "pa.Table":
        """Return every finding, one row each; `row` is null for the whole dataset."""
        return self._table("findings")

    def _table(self, part: str) -> "pa.Table":
        import pyarrow as pa

        tables = list(self._files().tables(part))
        return _joined(tables) if tables else pa.table({})

    def _files(self) -> "RunReader":
        from provenance.ledger.run_reader import RunReader

        return RunReader(self.folder, self.entry)

    def as_dict(self) -> dict[str, Any]:
        """Return the one object that `--json` prints."""
        names = ("check", "status", "findings", "rows", "seconds")
        return run_object(
            run=self.entry.seq,
            path=str(self.folder),
            verdict=self.verdict.word,
            rows=self.rows,
            decided=self.entry.facts.get("decided"),
            lessons=self.entry.facts.get("lessons", ()),
            checks=[{name: getattr(one, name) for name in names} for one in self.statuses],
            reasons=[reason.as_dict() for reason in self.verdict.reasons],
            warnings=[notice.as_dict() for notice in self.warnings],
            timings=self.timings,
        )


def run_object(  # noqa: PLR0913  one argument per key
    *,
    verdict: str,
    run: int | None = None,
    path: str | None = None,
    rows: Fated | None = None,
    decided: Mapping[str, Any] | None = None,
    lessons: Sequence[Mapping[str, Any]] = (),
    checks: Sequence[Mapping[str, Any]] = (),
    reasons: Sequence[Mapping[str, Any]] = (),
    warnings: Sequence[Mapping[str, Any]] = (),
    timings: Mapping[str, float] | None = None,
    error: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return an `assay.run/1` object; of a refusal it has the `error` and nothing else."""
    return {
        "schema": "assay.run/1",
        "run": run,
        "path": path,
        "verdict": verdict,
        "rows": (rows or Fated()).as_dict(),
        "decided": {name: (decided or {}).get(name, 0) for name in ("rows", "asked")},
        **({"lessons": [*lessons]} if lessons else {}),
        "checks": [*checks],
        "reasons": [*reasons],
        "warnings": [*warnings],
        "timings": dict(timings or {}),
        "error": error,
    }


def _joined(tables: "list[pa.Table]") -> "pa.Table":
    """Return the tables as one; a column that is text in some of them is text in all."""
    import pyarrow as pa

    first = tables[0].schema
    differing = {
        field.name
        for table in tables
        for field in table.schema
        if field.type != first.field(field.name).type
    }
    for name in differing:
        place = first.get_field_index(name)
        first = first.set(place, pa.field(name, pa.string()))
    return pa.concat_tables([table.cast(first) if differing else table for table in tables])


@dataclasses.dataclass(slots=True)
class Committed:
    """What was committed, if anything yet: from then on an interrupt undoes nothing.

    As a context manager, which may be entered more than once, it lets an interrupt through before
    the commit. After it, it ends the interrupt and remembers it. What the cleaning up then leaves
    behind is swept by the next run.
    """

    outcome: Outcome | None = None
    is_interrupted: bool = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        """Return whether this is an interrupt that came after the commit."""
        if self.outcome is None or not isinstance(error, KeyboardInterrupt):
            return False
        self.is_interrupted = True
        return True

    def result(self) -> Outcome:
        """Return the outcome; E005 if nothing was committed."""
        if self.outcome is None:
            raise AssayError("E005", "the run ended before its commit")
        return dataclasses.replace(self.outcome, is_interrupted=self.is_interrupted)


def recorded(entry: "Entry", folder: Path) -> Outcome:
    """Return the outcome of a past run from its entry and findings; its stages have no timings.

    Raises:
        AssayError: ASSAY-L011 if the findings were changed.
    """
    import pyarrow as pa

    from checks.kit import findings
    from checks.kit.verdict import Verdict
    from pipelines.checking.examine import Status
    from provenance.ledger.run_reader import RunReader

    facts = entry.facts
    found = pa.concat_tables(RunReader(folder, entry).tables("findings", ["check", "row"]))
    reasons = tuple(Notice(**reason) for reason in facts["reasons"])
    return Outcome(
        entry,
        folder,
        Verdict(facts["verdict"] == "pass", facts["checked"], reasons),
        Fated(**facts["rows"], root=facts["lineage"]["root"]),
        tuple(
            Status(name, status, *findings.count(found, name))
            for name, status in facts["checks"].items()
        ),
        tuple(Notice(**notice) for notice in facts.get("warnings", [])),
        {"total": 0.0},
    )


def show(outcome: Outcome, *, as_json: bool) -> None:
    """Print an outcome on stdout.

    Raises:
        AssayError: ASSAY-E003 if stdout cannot be written; the run is committed all the same.
    """
    try:
        sys.stdout.write(_text(outcome, as_json=as_json))
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        what = f"run {outcome.entry.seq} is committed, but stdout cannot be written"
        fix = "see `assay ledger log` and the run's report for the result"
        raise AssayError("E003", what, where="stdout", fix=fix) from error


def _text(outcome: Outcome, *, as_json: bool) -> str:
    if as_json:
        return json.dumps(outcome.as_dict()) + "\n"
    from pipelines import console

    is_color = console.is_colored(sys.stdout, os.environ)
    return console.summary(outcome.as_dict(), is_color=is_color)
