"""The command line: parse and dispatch, nothing else.

Results go to stdout, everything else to stderr; `--json` prints exactly one object, on errors
too. Only argparse is imported before the module of the chosen command: docs/adr/0006.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

TYPE_CHECKING = False  # importing `typing` would add a tenth to the time of `--help`
if TYPE_CHECKING:
    from typing import NoReturn

SIGNALLED = 128  # exit codes above it name a signal
RUN = "number of a run, or `latest`"
LEDGER_ACTIONS = {
    "log": "list the entries, oldest first",
    "show": "print entry ENTRY in full, as JSON",
    "checkpoint": "sign the length and root hash of the ledger, to be kept off this machine",
    "prove": "prove to others that entry ENTRY, or row ROW of run ENTRY, is in the ledger",
    "compact": "pack the entries so far into one file; hashes and signatures stay the same",
    "rotate": "replace the signing key with the key in --to",
    "key": "print your public key, for others to pin",
}


def _source(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("contract", metavar="CONTRACT", help="data contract, a YAML file (ODCS v3.1)")
    add("--source", metavar="PATH", help="file, folder, glob or URL of the data to examine "
        "(default: servers[0].path of the contract)")  # fmt: skip
    add("--reference", metavar="PATH", help="trusted data to measure drift against")
    add("--engine", choices=("auto", "serial", "processes", "dask"), default="auto",
        help="what examines the shards (default: auto, by the number of rows)")  # fmt: skip
    add("--dask-address", metavar="URL", help="scheduler of a running Dask cluster, such as "
        "tls://host:8786; implies --engine dask")  # fmt: skip
    add("--fail-on", choices=("error", "warning"),
        help="lowest severity that fails the run (default: the contract's policy)")  # fmt: skip
    add("--share", choices=("private", "group"), help="who may use a store that this command "
        "creates: only you (default), or the group of its folder")  # fmt: skip


def _init(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("source", nargs="?", metavar="SOURCE", help="file, folder, glob or URL of the data")
    add("--label", metavar="COLUMN", help="target column, which a model will learn to predict")
    add("--key", metavar="COLUMN", help="column that identifies a row")
    add("--delimiter", metavar="CHAR", help="delimiter of a CSV file, if it is not recognised")
    add("--trust", action="store_true", help="take every cell as right: nothing is suspected of "
        "being a fault, and all of the source passes the rules")  # fmt: skip
    add("-o", "--output", metavar="FILE", help="file to write (default: contract.yaml)")
    add("--force", action="store_true", help="overwrite FILE")
    add("--from", dest="run", metavar="RUN", help="instead of reading a SOURCE, revise the "
        "contract of this run by the decisions on its rows and by the runs before it")  # fmt: skip
    add("--schema", action="store_true", help="instead of a contract, write the JSON Schema of "
        "contracts for editors (default: to stdout)")  # fmt: skip


def _run_options(parser: argparse.ArgumentParser) -> None:
    _source(parser)
    add = parser.add_argument
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--flow", action="store_true", help="run as a Prefect flow, on an ephemeral "
        "server unless PREFECT_API_URL names one")  # fmt: skip
    way.add_argument("--direct", action="store_true", help="run without Prefect, even if "
        "PREFECT_API_URL is set")  # fmt: skip
    add("--retrain-exit", type=int, metavar="CODE", help="exit with CODE (5 to 125) instead of 1 "
        "if drift is the only reason that the run fails")  # fmt: skip


def _gate(parser: argparse.ArgumentParser) -> None:
    _source(parser)
    parser.usage = "assay gate CONTRACT [options] -- COMMAND..."
    add = parser.add_argument
    add("--max-age", metavar="AGE", default="24h", help="reuse a pass that is at most this old, "
        "such as 90m or 7d (default: 24h); 0s always runs again")  # fmt: skip
    add("--in-place", action="store_true", help="give COMMAND the run's own files, checked before "
        "and after, instead of a private copy")  # fmt: skip
    _checkpoint(parser)


def _nightly(parser: argparse.ArgumentParser) -> None:
    _source(parser)
    parser.add_argument("--cron", metavar="CRON", default="0 2 * * *",
                        help='schedule as five cron fields (default: "0 2 * * *")')  # fmt: skip


def _review(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run", nargs="?", default="latest", metavar="RUN", help=f"{RUN} (default)")
    add("--list", action="store_true", help="list the rows that await a decision, worst first")
    add("--apply", metavar="CSV", help="record decisions from a file with the columns decision and "
        "row (or group, rule or key)[, value, column, reason]; a decision is release, reject, "
        "relabel, correct, redact, approve, undo or forget")  # fmt: skip
    add("--export", metavar="CSV", help="write the groups and rows that wait to a file, for "
        "decisions to be filled in and given to --apply")  # fmt: skip
    add("--decide", metavar="WORD", help="record one decision on the rows that --row, --group, "
        "--rule or --key names")  # fmt: skip
    add("--undo", type=int, metavar="ENTRY", help="withdraw all decisions of this entry")
    add("--forget", action="store_true", help="withdraw everything ever decided about the rows "
        "named, so that they are asked anew")  # fmt: skip
    add("--row", metavar="ROW", help="a row, by number")
    add("--group", metavar="ID", help="a group, as --list names it")
    add("--rule", metavar="RULE", help='a rule, such as labels.contradicted or "age.minimum age"')
    add("--key", metavar="COLUMN=VALUE", help="the rows with this value in a column")
    add("--column", metavar="COLUMN", help="with --decide correct: the column of the cell")
    add("--value", metavar="TEXT", help="with --decide relabel or correct: the new value")
    add("--overrule", action="store_true", help="let decisions contradict those of somebody else; "
        "needs a reason")  # fmt: skip
    add("--as", dest="reviewer", metavar="NAME", help="record NAME as the reviewer; only for the "
        "owner of the store")  # fmt: skip
    add("--show-values", action="store_true", help="do not mask cells that may be personal; only "
        "for the owner of the store, and recorded in the ledger")  # fmt: skip
    add("--anchor", action="store_true",
        help="make the clean dataset of RUN the reference for drift from now on")  # fmt: skip
    add("--reason", metavar="TEXT", help="why, for the ledger")
    add("--limit", type=int, default=100, metavar="N",
        help="with --list: number of rows of a group, or with --json of all groups (default: "
        "100; 0 for all)")  # fmt: skip
    from pipelines.commands import review_access

    review_access.add_options(parser)


def _release(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help=RUN)


def _explain(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("subject", metavar="RUN|CODE|RULE", help=f"{RUN}; or a code or rule, such as ASSAY-I035, "
        "outliers.joint or age.minimum")  # fmt: skip
    add("row", nargs="?", metavar="ROW", help="number of the row, from 0, or its place in the "
        "run's files, such as clean/part-00000.parquet:17")  # fmt: skip


def _diff(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run_a", metavar="RUN_A", help=RUN)
    add("run_b", metavar="RUN_B", help=RUN)
    add("--limit", type=int, metavar="N", help="number of rows to list per kind of change "
        "(default: 10, with --json 100; 0 for all)")  # fmt: skip


def _checkpoint(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--checkpoint", metavar="FILE", default=os.environ.get("ASSAY_CHECKPOINT") or None,
        help="require the ledger to continue this checkpoint (default: $ASSAY_CHECKPOINT)",
    )  # fmt: skip


def _verify(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN", help="check the files of this run only (default: of all)")
    add("--row", metavar="ROW", help="check this row of RUN only")
    add("--report", metavar="FILE", help="find the run that wrote this file")
    _checkpoint(parser)
    add("--key", metavar="FILE", help="public key to trust, a PEM file")


def _ledger(parser: argparse.ArgumentParser) -> None:
    width = max(map(len, LEDGER_ACTIONS))
    lines = "".join(f"\n  {name:<{width}}  {text}" for name, text in LEDGER_ACTIONS.items())
    parser.description = f"{parser.description}\n\nactions:{lines}"
    add = parser.add_argument
    add("action", choices=LEDGER_ACTIONS, metavar="ACTION", help="one of the actions above")
    add("entry", nargs="?", metavar="ENTRY",
        help="show, prove: number of an entry (prove: or `latest`, the last run)")  # fmt: skip
    add("row", nargs="?", metavar="ROW", help="prove: number of a row of that run, from 0")
    add("-o", "--output", metavar="FILE",
        help="checkpoint, prove, key: file to write (default: stdout)")  # fmt: skip
    add("--checkpoint", metavar="FILE",
        help="prove: use this checkpoint (default: a new one)")  # fmt: skip
    add("--since", metavar="FILE", help="prove: that the ledger has only grown since this "
        "checkpoint, in place of ENTRY")  # fmt: skip
    add("--row-file", metavar="FILE", help="prove: also write the row, as Parquet")
    add("--to", metavar="FILE", help="rotate: file of the new key, created if absent")


def _no_options(_: argparse.ArgumentParser) -> None:
    """Add nothing."""


Command = tuple[Callable[[argparse.ArgumentParser], None], str, tuple[str, ...]]
# verb: what adds its options, one line of help, examples; `commands.VERB`, or the module that its
# options name, has `main(arguments)`
VERBS: dict[str, Command] = {
    "init": (
        _init,
        "propose a contract from a source, or revise the contract of a run",
        ("assay init loans.csv --label defaulted", "assay init --from latest -o revised.yaml"),
    ),
    "run": (
        _run_options,
        "examine a source under a contract",
        ("assay run contract.yaml --source loans.csv",),
    ),
    "gate": (
        _gate,
        "start a training command only if the data passes",
        ("assay gate contract.yaml --max-age 24h -- python train.py",),
    ),
    "nightly": (
        _nightly,
        "serve `assay run` on a schedule, as a Prefect deployment",
        ('assay nightly contract.yaml --cron "0 2 * * *"',),
    ),
    "review": (
        _review,
        "review the rows that await a decision: on a page in the browser, or by these options",
        (
            "assay review latest",
            "assay review latest --list",
            "assay review latest --apply decisions.csv",
            "assay review latest --decide reject --rule poison.trigger --reason 'planted'",
            "assay review --users users.txt --add-user anna --role reviewer",
            "assay review --users users.txt --host 0.0.0.0 --tls-cert a.pem --tls-key b.pem",
        ),
    ),
    "release": (
        _release,
        "write a new clean dataset with the decisions applied",
        ("assay release latest",),
    ),
    "explain": (
        _explain,
        "show the history of a row, or what a code or a rule means",
        ("assay explain latest 48211", "assay explain ASSAY-I035", "assay explain outliers.joint"),
    ),
    "diff": (_diff, "compare two runs row by row, with the causes", ("assay diff 6 7",)),
    "verify": (
        _verify,
        "check the ledger and the files of every run against it",
        ("assay verify", "assay verify latest --row 48211"),
    ),
    "ledger": (
        _ledger,
        "inspect the ledger; make checkpoints and proofs; compact it; manage keys",
        ("assay ledger checkpoint -o monday.note", "assay ledger prove latest 48211 -o row.proof"),
    ),
    "doctor": (_no_options, "check this machine and the installation", ("assay doctor",)),
}


class _Parser(argparse.ArgumentParser):
    """Raises ASSAY-C012 where argparse would print and leave."""

    def error(self, message: str) -> "NoReturn":
        from provenance.base.errors import AssayError

        raise AssayError("C012", message, where=self.prog, fix=f"see `{self.prog} --help`")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    own = words[: words.index("--")] if "--" in words else words
    as_json, debug = "--json" in own, "--debug" in own
    try:
        return _run(words)
    except BrokenPipeError:  # whoever read our output has gone, so nobody would read an error
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stderr.close()
        return 3
    except SystemExit as error:
        if not isinstance(error.code, int) or error.code <= SIGNALLED:
            raise
        raised: BaseException = KeyboardInterrupt()
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  no traceback unless asked for
        raised = error
    from pipelines.commands.refusal import refuse

    return refuse(raised, as_json=as_json, debug=debug)


def _run(words: list[str]) -> int:
    cut = words.index("--") if "--" in words else len(words)
    parser = _parser(words[:cut])
    arguments = parser.parse_args(words[:cut])
    arguments.command = words[cut + 1 :]
    if arguments.command and arguments.verb != "gate":
        parser.error("only `assay gate` takes a command after --")
    if not getattr(arguments, "verb", None):
        parser.print_help()
        return 2 if words else 0
    if arguments.verb != "nightly":  # which shuts down in its own order
        _heed_signals()
    import importlib

    from pipelines import config, quick_imports

    arguments.environment = dict(os.environ)  # for the command that a gate starts
    config.take_key()
    config.quiet_libraries()
    quick_imports.postpone()
    with quick_imports.collecting_nothing():
        name = getattr(arguments, "module", arguments.verb)
        command = importlib.import_module(f"pipelines.commands.{name}")
    code: int = command.main(arguments)
    sys.stdout.flush()  # so that a closed pipe is noticed here, not while Python exits
    return code


def _heed_signals() -> None:
    """Make a termination signal end a command as an interrupt does, so that it cleans up."""
    import signal
    import threading

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:  # `nohup` has SIGHUP ignored
                signal.signal(number, signal.default_int_handler)


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="assay",
        description="Examines training data before a model learns from it.",
        epilog=_examples("assay init data.csv --label y", "assay run contract.yaml"),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", parser_class=_Parser)
    for verb, (add_options, text, examples) in VERBS.items():
        added = verbs.add_parser(
            verb, help=text, description=f"{text[0].upper()}{text[1:]}.",
            epilog=_examples(*examples), formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        if verb in words:  # the list of commands needs no options of the others
            add_options(added)
            add = added.add_argument
            add("--store", metavar="DIR", help="default: $ASSAY_STORE, else ./assay-store")
            add("--json", action="store_true", help="print one JSON object on stdout")
            add("--debug", action="store_true", help="show tracebacks and logs")
    if "--version" in words[:1]:
        from importlib import metadata

        sys.stdout.write(f"assay {metadata.version('assay')}\n")
        raise SystemExit(0)
    return parser


def _examples(*lines: str) -> str:
    return "examples:" + "".join(f"\n  {line}" for line in lines)


def command() -> "NoReturn":
    """Be the command `assay`: run it, and end the process with its exit code."""
    import atexit

    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # the caller closed it: nobody wants what is written there
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123
    codes: list[int] = []
    atexit.register(_leave, codes)  # the first one to be registered is the last to be called
    codes.append(main())
    sys.exit(codes[0])


def _leave(codes: list[int]) -> None:
    """End the process here: Python would search all that is left for garbage, half a second."""
    import contextlib

    if codes:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # whoever read it has gone
                stream.flush()
        os._exit(codes[0])


if __name__ == "__main__":
    command()
