"""Where the process of a scheduled run begins: before Prefect is imported, with the key in hand.

Imported by that process first of all: with this package Prefect takes no settings out of the
working folder, and the signing key comes through the pipe from the serving process, since an
environment is there to be read for as long as a process lives.
"""

import functools
import importlib
from typing import Any

from pipelines import config

ENGINE = "prefect.flow_engine"
START = "_run_serialized_call_with_control_bootstrap"


def take_over(key: bytes | None) -> None:
    """Let Prefect start the processes of its scheduled runs here, in `begin`.

    Args:
        key: the text of the signing key, for those processes to hold; None if it is in a file.

    Raises:
        RuntimeError: if this Prefect starts them otherwise.
    """
    engine = importlib.import_module(ENGINE)
    if not hasattr(engine, START):
        raise RuntimeError("this version of Prefect starts runs in another way")
    setattr(engine, START, functools.partial(begin, key))


def begin(key: bytes | None, call: bytes, control: dict[str, str]) -> Any:
    """Be the process of a scheduled run: hold the key, then run what Prefect handed over."""
    config.hold_key(key)
    return getattr(importlib.import_module(ENGINE), START)(call, control)
