"""Assay from Python: examine a frame or files, and read what a run committed.

Example:
    >>> import assay
    >>> outcome = assay.run(loans, "contract.yaml", store="assay-store")
    >>> outcome.verdict.word
    'pass'
    >>> clean = outcome.clean().to_pandas()
    >>> held = assay.open_run("latest", store="assay-store").quarantine()

The names in `__all__` are public and keep their meaning. Everything else that Assay installs
(`pipelines`, `checks`, `provenance`) is private. Importing this module loads no other library.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from provenance.base.errors import AssayError

if TYPE_CHECKING:
    from checks.kit.contract_model import Contract
    from pipelines.store.outcome import Outcome

    __version__: str

__all__ = ["AssayError", "Frame", "__version__", "load_contract", "open_run", "run"]


class Frame(Protocol):
    """A frame of pandas or polars, an Arrow table, or any other Arrow stream."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return the frame's columns as an Arrow C stream."""
        ...


def run(  # noqa: PLR0913  one argument per choice of the caller
    source: Frame | str | Path | Sequence[str | Path] | None,
    contract: str | Path,
    *,
    store: str | Path | None = None,
    reference: str | Path | None = None,
    engine: Literal["auto", "serial", "processes"] = "serial",
    fail_on: Literal["error", "warning"] | None = None,
    checkpoint: str | Path | None = None,
    direct: bool = True,
    is_quiet: bool = True,
) -> "Outcome":
    """Examine a source under a contract and commit the run, as the command `assay run` does.

    Args:
        source: a frame, which is examined like a file; or a path, folder, glob or URL, or several
            of them; None for the source that the contract names. A stream is consumed. An index of
            pandas without a name is left out, and NaN of pandas is a missing value.
        contract: path of the contract.
        store: folder of runs and ledger; by default $ASSAY_STORE, else `./assay-store`.
        reference: path or URL of trusted rows to measure drift against; by default the dataset's
            anchor, else the contract's.
        engine: `serial`, `processes`, or `auto` for whichever suits the number of rows. Processes
            need a script with `if __name__ == "__main__"`.
        fail_on: the least severity that fails the run; by default the policy of the contract.
        checkpoint: file of a checkpoint that the ledger must agree with.
        direct: whether to run without Prefect.
        is_quiet: whether to print no progress on stderr.

    Returns:
        The committed run, also if its verdict is `fail`: see `open_run`.

    Raises:
        AssayError: the code of what the source, the contract or the store is refused for, such as
            ASSAY-I004 for a source that is neither a frame nor a path, and ASSAY-I008 for a column
            that holds values of several types. Nothing is committed then.

    Example:
        >>> outcome = assay.run("loans/*.csv", "contract.yaml", fail_on="warning")
        >>> if outcome.verdict.passed:
        ...     train(outcome.clean_files())
        >>> outcome.rows.quarantine
        839
    """
    import contextlib

    from pipelines import config

    config.quiet_libraries()  # before anything below imports them
    from pipelines.console import Progress
    from pipelines.run import frame
    from pipelines.run.execution import execute
    from pipelines.run.request import Request
    from pipelines.store.store import Store

    folder = Store(config.store_folder(_text(store)))
    with contextlib.ExitStack() as stack:
        given, name = _paths(source), None
        if given is None and source is not None:
            given, name = stack.enter_context(frame.staged(source, folder))
        request = Request(
            Path(contract), folder.folder, given, _text(reference), engine, direct=direct,
            fail_on=fail_on, checkpoint=_text(checkpoint), source_name=name,
        )  # fmt: skip
        with Progress(is_quiet=is_quiet) as progress:
            return execute(request, progress)


def open_run(
    run: int | str = "latest",
    *,
    store: str | Path | None = None,
    checkpoint: str | Path | None = None,
) -> "Outcome":
    """Open a committed run, once the ledger and all files of the run are verified.

    Args:
        run: number of the run, or `latest`.
        store: folder of runs and ledger; by default $ASSAY_STORE, else `./assay-store`.
        checkpoint: file of a checkpoint that the ledger must agree with.

    Returns:
        The run: `verdict` and its `reasons`, counts of `rows`, `warnings`, `statuses` of the
        checks, and its signed `entry`. The methods `clean`, `quarantine`, `rejected` and `findings`
        each return an Arrow table, read from files that are checked against their digests;
        `clean_files` returns the paths of the clean dataset.

    Raises:
        AssayError: ASSAY-C013 if there is no such store or run, L001 to L012 if the ledger or a
            file of the run is not as recorded, E003 if there is no key to verify with.

    Example:
        >>> last = assay.open_run()
        >>> [reason.message for reason in last.verdict.reasons]
        []
        >>> last.findings().group_by("rule").aggregate([([], "count_all")]).to_pandas()
    """
    from pipelines import config
    from pipelines.store import outcome, trust
    from pipelines.store.store import Store

    folder = Store(config.store_folder(_text(store)))
    folder.require()
    trust.require_whole(folder, _text(checkpoint))
    entry = folder.find(str(run))
    folder.reader(entry).require()
    return outcome.recorded(entry, folder.run_folder(entry.seq))


def load_contract(path: str | Path) -> "Contract":
    """Read and check a contract without running it.

    Args:
        path: of the YAML file.

    Returns:
        The contract: its `name`, `columns`, `rules`, `policy` and `warnings`.

    Raises:
        AssayError: ASSAY-C001 to C011 if the contract is not valid; `where` has the line.

    Example:
        >>> contract = assay.load_contract("contract.yaml")
        >>> [column.name for column in contract.columns if column.pii == "redact"]
        ['note']
    """
    from checks.contract import loader

    return loader.load(Path(path))


def _text(path: str | Path | None) -> str | None:
    return None if path is None else str(path)


def _paths(source: Any) -> str | tuple[str, ...] | None:
    """Return the paths that a source is, None if it is not one path or several."""
    if isinstance(source, str | Path):
        return str(source)
    if not isinstance(source, Sequence) or not source:
        return None
    if all(isinstance(item, str | Path) for item in source):
        return tuple(map(str, source))
    return None


def __getattr__(name: str) -> str:
    if name == "__version__":
        from importlib import metadata

        return metadata.version("assay")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
