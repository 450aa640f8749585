"""What the tasks of a map share, handed to workers through a file: pickled once, loaded once each.

A check carries its reference; sent along with each shard it would cost more than small shards do.
"""

import functools
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any


def keep(path: Path, value: Any) -> str:
    """Pickle a value into a file that the workers see, and return its path."""
    with path.open("wb") as file:
        pickle.dump(value, file, protocol=5)
    return str(path)


def apply(function: str, item: Any) -> Any:
    """Call the function kept at a path; for a worker, which keeps it for the next item."""
    return _loaded(function)(item)


@functools.lru_cache(maxsize=2)
def _loaded(path: str) -> Callable[[Any], Any]:
    loaded: Callable[[Any], Any] = pickle.loads(Path(path).read_bytes())  # noqa: S301  ours, see keep
    return loaded
