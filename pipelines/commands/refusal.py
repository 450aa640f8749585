"""What a command says that ends with an error: its code on stderr, and with `--json` an object.

An output that takes nothing, such as a full disk or a pipe that nobody reads, changes no exit code.
"""

import contextlib
import sys
from typing import TextIO

from provenance.base.errors import AssayError


def refuse(raised: BaseException, *, as_json: bool, debug: bool) -> int:
    """Tell of an error and return its exit code."""
    if debug:
        from provenance.base.errors import frames

        _say(sys.stderr, frames(raised))
    error = _coded(raised)
    _say(sys.stderr, f"{error}\n")
    if as_json:
        import json

        from pipelines.store.outcome import run_object

        told = run_object(verdict="error", error=error.as_dict())
        _say(sys.stdout, json.dumps(told) + "\n")
    return error.exit_code


def _say(stream: TextIO, text: str) -> None:
    with contextlib.suppress(OSError):
        stream.write(text)
        stream.flush()


def _coded(error: BaseException) -> AssayError:
    """Return the error as one with a code; of an unforeseen one, only its type and place."""
    if isinstance(error, AssayError):
        return error
    if isinstance(error, KeyboardInterrupt):
        return AssayError("E130", "interrupted; nothing was committed", fix="run again")
    from provenance.base.atomic import with_code

    return with_code(error)
