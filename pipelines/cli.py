"""The command line: parse and dispatch, nothing else.

Results go to stdout, everything else to stderr; `--json` prints exactly one object, on errors
too. Nothing but argparse is imported before a command's own module is: docs/adr/0006.
"""

import argparse
import sys
from collections.abc import Sequence

TYPE_CHECKING = False  # `typing` itself would cost a tenth of the help's time
if TYPE_CHECKING:
    from typing import NoReturn

    from provenance.base.errors import AssayError

Arguments = argparse.Namespace

SIGNALLED = 128  # exit codes above it name a signal

# verb: (one line of help, an example); its module in `commands` has `main(arguments) -> int`
VERBS: dict[str, tuple[str, str]] = {
    "init": (
        "write a first contract from a source, or a better one from a run",
        "assay init loans.csv --label defaulted -o contract.yaml; assay init --from 7 -o new.yaml",
    ),
    "run": (
        "examine a source under a contract",
        "assay run contract.yaml --source loans.csv",
    ),
    "gate": (
        "start a training command only on a pass",
        "assay gate contract.yaml --max-age 24h --checkpoint monday.note -- python train.py",
    ),
    "nightly": (
        "run on a schedule, as a served Prefect deployment",
        'assay nightly contract.yaml --cron "0 2 * * *"',
    ),
    "review": (
        "list what waits for a person, record decisions",
        "assay review latest --apply decisions.csv",
    ),
    "release": (
        "emit the clean dataset with the decisions applied",
        "assay release latest",
    ),
    "explain": (
        "tell one row's story, or what a code means",
        "assay explain latest 48211",
    ),
    "diff": (
        "compare two runs row by row, and say why",
        "assay diff 6 7",
    ),
    "verify": (
        "check the ledger, and every file of a run",
        "assay verify latest",
    ),
    "ledger": (
        "show the ledger; checkpoints, proofs, compaction, keys",
        "assay ledger checkpoint -o monday.note",
    ),
    "doctor": ("check this machine and installation", "assay doctor"),
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
    except BrokenPipeError:
        # whoever read our output has gone; there is nobody to tell
        import os

        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.stderr.close()
        return 3
    except SystemExit as error:
        if not isinstance(error.code, int) or error.code <= SIGNALLED:
            raise
        return _refuse(KeyboardInterrupt(), as_json=as_json, debug=debug)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  no traceback unasked
        return _refuse(error, as_json=as_json, debug=debug)


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
    if arguments.verb != "nightly":  # which ends in an order of its own
        _heed_signals()
    import importlib
    import os

    from pipelines import config

    arguments.environment = dict(os.environ)  # what a gated command shall inherit
    config.take_key()
    config.quiet_libraries()
    command = importlib.import_module(f"pipelines.commands.{arguments.verb}")
    code: int = command.main(arguments)
    sys.stdout.flush()  # a reader that has gone shall be met here, not at the end of Python
    return code


def _heed_signals() -> None:
    """Let a termination end a command as an interrupt does, so that nothing is left behind."""
    import signal
    import threading

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:  # `nohup` asks that one be ignored
                signal.signal(number, signal.default_int_handler)


def _parser(words: list[str]) -> argparse.ArgumentParser:
    parser = _Parser(
        prog="assay",
        description="Examines training data before a model learns from it.",
        epilog="example: assay init data.csv --label y -o contract.yaml && assay run contract.yaml",
    )
    parser.add_argument("--version", action="store_true", help="print the version")
    verbs = parser.add_subparsers(dest="verb", metavar="COMMAND", parser_class=_Parser)
    for verb, (text, example) in VERBS.items():
        added = verbs.add_parser(verb, help=text, description=text, epilog=f"example: {example}")
        if verb in words:  # the others need no options to be listed
            from pipelines.commands.arguments import OPTIONS

            OPTIONS[verb](added)
            added.add_argument("--debug", action="store_true", help="show tracebacks and logs")
    if "--version" in words[:1]:
        from importlib import metadata

        sys.stdout.write(f"assay {metadata.version('assay')}\n")
        raise SystemExit(0)
    return parser


def _coded(error: BaseException) -> "AssayError":
    """Return the error as one with a code; an unforeseen one tells its kind and place only."""
    from provenance.base.errors import AssayError

    if isinstance(error, AssayError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return AssayError("E130", "interrupted; nothing was committed", fix="run again")
    from provenance.base.atomic import foreseen

    return foreseen(error)


def _refuse(raised: BaseException, *, as_json: bool, debug: bool) -> int:
    if debug:
        import traceback

        traceback.print_exc()
    error = _coded(raised)
    sys.stderr.write(f"{error}\n")
    if as_json:
        import json

        from pipelines.store.outcome import run_object

        told = run_object(verdict="error", error=error.as_dict())
        sys.stdout.write(json.dumps(told) + "\n")
    return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
