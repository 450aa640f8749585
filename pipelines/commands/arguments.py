"""What each command takes on the command line, and its help.

Only argparse is imported here, since help must be cheap: docs/adr/0006.
"""

import argparse
import os
from collections.abc import Callable


def _store(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--store", metavar="DIR", help="default: $ASSAY_STORE, else ./assay-store")
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", metavar="FILE", default=os.environ.get("ASSAY_CHECKPOINT") or None,
        help="compare the ledger with what was kept elsewhere; default: $ASSAY_CHECKPOINT",
    )  # fmt: skip


def _source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("contract", metavar="CONTRACT", help="the contract, ODCS v3.1 YAML")
    parser.add_argument("--source", metavar="PATH", help="default: the contract's servers[0].path")
    parser.add_argument("--reference", metavar="PATH", help="trusted rows to measure drift against")
    parser.add_argument("--engine", choices=("auto", "serial", "processes", "dask"), default="auto")
    parser.add_argument(
        "--dask-address", metavar="URL", help="scheduler of an existing cluster, tls://host:8786"
    )
    parser.add_argument("--fail-on", choices=("error", "warning"), help="default: the policy's")
    parser.add_argument(
        "--share", choices=("private", "group"),
        help="who may use a store that this makes: only you (default), or its folder's group",
    )  # fmt: skip
    _store(parser)


def _init(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", nargs="?", metavar="SOURCE", help="file, folder, glob or URL")
    parser.add_argument("--label", metavar="COL", help="the column that a model shall predict")
    parser.add_argument("--key", metavar="COL", help="the column that names a row")
    parser.add_argument("--delimiter", metavar="CHAR", help="of a CSV, if it is not found")
    parser.add_argument("-o", "--output", metavar="FILE", help="default: contract.yaml")
    parser.add_argument("--force", action="store_true", help="overwrite FILE")
    parser.add_argument(
        "--from", dest="run", metavar="RUN",
        help="instead, revise a run's contract by the decisions on its rows and the runs before it",
    )  # fmt: skip
    parser.add_argument("--store", metavar="DIR", help="of RUN; default: as for `assay run`")
    parser.add_argument(
        "--schema", action="store_true",
        help="instead, write the JSON Schema of contracts, for editors; default: to stdout",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object on stdout")


def _run_options(parser: argparse.ArgumentParser) -> None:
    _source(parser)
    way = parser.add_mutually_exclusive_group()
    way.add_argument(
        "--flow", action="store_true",
        help="run as a Prefect flow, on an ephemeral server unless PREFECT_API_URL names one",
    )  # fmt: skip
    way.add_argument(
        "--direct",
        action="store_true",
        help="run without Prefect, also where PREFECT_API_URL is set",
    )
    parser.add_argument(
        "--retrain-exit", type=int, metavar="CODE",
        help="exit with CODE (5 to 125) instead of 1 if it fails for drift alone",
    )  # fmt: skip


def _gate(parser: argparse.ArgumentParser) -> None:
    _source(parser)
    parser.add_argument(
        "--max-age",
        metavar="AGE",
        default="24h",
        help="reuse a pass up to this old; default 24h; 0s: always check anew",
    )
    parser.add_argument(
        "--in-place", action="store_true",
        help="hand over the run's own files, checked before and after, instead of a private copy",
    )  # fmt: skip
    _checkpoint(parser)
    parser.usage = "assay gate CONTRACT [options] -- COMMAND..."


def _nightly(parser: argparse.ArgumentParser) -> None:
    _source(parser)
    parser.add_argument("--cron", default="0 2 * * *", help='default: "0 2 * * *"')


def _review(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", default="latest", metavar="RUN")
    parser.add_argument("--list", action="store_true", help="print the queue, worst first")
    parser.add_argument(
        "--apply", metavar="CSV", help="columns: row, decision[, value, reason, reviewer]; a "
        "decision is release, reject, relabel, redact or undo",
    )  # fmt: skip
    parser.add_argument(
        "--anchor", action="store_true",
        help="from now on, measure drift against the clean dataset of RUN",
    )  # fmt: skip
    parser.add_argument("--reason", metavar="TEXT", help="of --anchor, for the ledger")
    parser.add_argument(
        "--limit", type=int, default=100, help="rows to list, default 100; 0 for all"
    )
    _store(parser)


def _release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="a number or `latest`")
    _store(parser)


def _explain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("subject", metavar="RUN | CODE", help="a number, `latest`, or ASSAY-I035")
    parser.add_argument(
        "row", nargs="?", metavar="ROW",
        help="the row's 0-based ordinal, or its place: clean/part-00000.parquet:17",
    )  # fmt: skip
    _store(parser)


def _diff(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run_a", metavar="RUN_A", help="a number or `latest`")
    parser.add_argument("run_b", metavar="RUN_B", help="a number or `latest`")
    parser.add_argument(
        "--limit", type=int, help="rows to list of each kind, 0 for all; default 10, --json 100"
    )
    _store(parser)


def _verify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="check this run's files only")
    parser.add_argument("--row", metavar="ROW", help="check this row of the run only")
    parser.add_argument("--report", metavar="FILE", help="find the run that this file is of")
    _checkpoint(parser)
    parser.add_argument("--key", metavar="FILE", help="public key to trust, PEM")
    _store(parser)


def _ledger(parser: argparse.ArgumentParser) -> None:
    actions = ("log", "show", "checkpoint", "prove", "compact", "rotate", "key")
    parser.add_argument("action", choices=actions)
    parser.add_argument("entry", nargs="?", metavar="ENTRY", help="show, prove: entry or run")
    parser.add_argument("row", nargs="?", metavar="ROW", help="prove: a row of that run")
    parser.add_argument("-o", "--output", metavar="FILE", help="checkpoint, prove, key: write here")
    parser.add_argument("--checkpoint", metavar="FILE", help="prove: against this one")
    parser.add_argument("--since", metavar="FILE", help="prove: only grew since this checkpoint")
    parser.add_argument("--row-file", metavar="FILE", help="prove: write the row as Parquet, too")
    parser.add_argument("--to", metavar="FILE", help="rotate: the next key, made if absent")
    _store(parser)


OPTIONS: dict[str, Callable[[argparse.ArgumentParser], None]] = {
    "init": _init, "run": _run_options, "gate": _gate, "nightly": _nightly, "review": _review,
    "release": _release, "explain": _explain, "diff": _diff, "verify": _verify, "ledger": _ledger,
    "doctor": _store,
}  # fmt: skip
