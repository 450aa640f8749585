"""Keep pyarrow from importing pandas before there is a frame.

The first time that pyarrow builds an array or a scalar, it imports pandas, to see whether it was
given a column of a frame. That is more than half the start of a command, and hardly any process of
Assay ever sees a frame. If the import fails, pyarrow goes on without pandas, and tries again only
for a frame. So this import fails once; as soon as pandas is imported by someone who needs it,
pyarrow is told. Not for a program that imports Assay: it may have frames of its own.
"""

import _thread
import importlib.machinery
import sys

TYPE_CHECKING = False  # importing `typing` would add to the time of every command
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    Then = Callable[[ModuleType], None]


class _Finder:
    """Finds pyarrow and pandas as usual, and acts once one of them is loaded."""

    def __init__(self) -> None:
        self._asking = 0  # the thread in which pyarrow looks for pandas, in vain

    def find_spec(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name == "pyarrow":
            return _then(self.ask, name, path, target)
        if name != "pandas":
            return None
        if self._asking == _thread.get_ident():
            raise ModuleNotFoundError(name, name=name)
        import pyarrow as pa  # noqa: F401  it looks before there is half a pandas

        return _then(_tell, name, path, target)

    def ask(self, pyarrow: "ModuleType") -> None:
        """Let pyarrow look for pandas now."""
        self._asking = _thread.get_ident()
        try:
            pyarrow.scalar(None)
        finally:
            self._asking = 0


def install() -> None:
    """Make it so in this process, unless it has pandas already."""
    if "pandas" in sys.modules or any(isinstance(finder, _Finder) for finder in sys.meta_path):
        return
    finder = _Finder()
    sys.meta_path.insert(0, finder)
    if "pyarrow" in sys.modules:
        finder.ask(sys.modules["pyarrow"])


def _then(
    act: "Then", name: str, path: "Sequence[str] | None", target: "ModuleType | None"
) -> importlib.machinery.ModuleSpec | None:
    """Return where a module is, with a loader that acts on the module once it is loaded."""
    spec = importlib.machinery.PathFinder.find_spec(name, path, target)
    if spec is not None and spec.loader is not None:
        execute = spec.loader.exec_module

        def exec_module(module: "ModuleType") -> None:
            execute(module)
            act(module)

        spec.loader.exec_module = exec_module  # type: ignore[method-assign]
    return spec


def _tell(_: "ModuleType") -> None:
    """Let pyarrow, which has looked in vain, look again."""
    import pyarrow as pa

    pa.lib._pandas_api.data_frame()  # noqa: SLF001  only what needs a frame looks again
