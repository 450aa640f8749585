"""Importing this module imports Great Expectations, without libraries that no rule of Assay needs.

The library imports drawing, statistics and cloud libraries at its own start, for parts that a rule
of a contract may never reach: more than a quarter of the time it takes. Here they are imported when
first used, and the clouds not at all. What is listed is what the pinned version imports: see
docs/adr/0003.
"""

import contextlib
import importlib
import sys
import types
from collections.abc import Iterator
from typing import Any

from checks.rules import duck_engine

WHEN_USED = ("altair", "scipy.stats")
NEVER = ("boto3", "botocore")  # the library goes on without them, as where they are not installed


class _WhenUsed(types.ModuleType):
    """Stands for a module until an attribute of it is read."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # the import system asks for these
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(importlib.import_module(self.__name__), name)


@contextlib.contextmanager
def _postponed() -> Iterator[None]:
    """Keep the modules from being imported meanwhile, unless they are there already."""
    absent: dict[str, Any] = {n: _WhenUsed(n) for n in WHEN_USED if n not in sys.modules}
    absent |= {name: None for name in NEVER if name not in sys.modules}
    modules: dict[str, Any] = sys.modules
    modules |= absent
    try:
        yield
    finally:
        for name, stand_in in absent.items():
            if name in modules and modules[name] is stand_in:
                del modules[name]


duck_engine.silence()
with _postponed():
    import great_expectations
    import great_expectations.render.renderer.page_renderer  # noqa: F401
