"""Libraries that other libraries import at their own start, but that a run rarely or never uses.

scikit-learn imports pandas and scipy.stats for a handful of names, which costs as much as the rest
of it. `install` makes chosen packages get stand-ins for such names: while one of their modules is
being imported, `from scipy.stats import rankdata` gives it an object that imports scipy.stats when
it is first called. What other modules import is as ever, and `sys.modules` never holds a stand-in,
so that threads that import meanwhile see nothing of it. For some packages a library is as good as
not installed until somebody has imported it. Only for processes of Assay's own: a program that
imports Assay has libraries of its own.
"""

import builtins
import importlib
import importlib.machinery
import sys

TYPE_CHECKING = False  # importing `typing` would add to the time of every command
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import ModuleType
    from typing import Any

_ours: "dict[str, Any]" = {}  # what names mean in the modules of those packages, where not given
_executing: set[str] = set()  # those modules of which the import is under way


class Attribute:
    """Stands for an attribute of a module that is imported when this is called or looked into.

    As a class, it has no instances until somebody has imported that module.
    """

    def __init__(self, module: str, name: str) -> None:
        """Stand for `module.name`."""
        self._module, self._name = module, name

    def _real(self) -> "Any":
        found = _named(self._module, self._name)
        # a package may have got a stand-in, too
        return found._real() if isinstance(found, Attribute) else found  # noqa: SLF001

    def __call__(self, *given: "Any", **named: "Any") -> "Any":
        """Call what this stands for."""
        return self._real()(*given, **named)

    def __getattr__(self, name: str) -> "Any":
        """Look into what this stands for, except for what protocols of Python ask for."""
        if name.startswith("__"):
            raise AttributeError(name)
        return getattr(self._real(), name)

    def __instancecheck__(self, item: object) -> bool:
        """Return whether something is an instance of the class that this stands for."""
        return _is_there(self._module) and isinstance(item, self._real())

    def __mro_entries__(self, _: "tuple[Any, ...]") -> "tuple[Any, ...]":
        """Return the class that this stands for, where it is a base of another."""
        return (self._real(),)

    def __or__(self, other: "Any") -> "Any":
        """Return the annotation `this | other`, which is read and never used."""
        return self

    __ror__ = __or__


class Module:
    """Stands for a module that is imported when an attribute of it is used."""

    def __init__(self, name: str) -> None:
        """Stand for the module of that name."""
        self._module = name

    def __getattr__(self, name: str) -> "Any":
        """Return a stand-in for an attribute, or itself once the module is there."""
        if _is_there(self._module) or name.startswith("__"):
            return getattr(importlib.import_module(self._module), name)
        return Attribute(self._module, name)


class _Names:
    """What `from package import names` reads from."""

    def __init__(self, names: "dict[str, Any]") -> None:
        self.__dict__.update(names)


class _Finder:
    """Finds the modules of the chosen packages as usual, and gives them their stand-ins."""

    def __init__(self) -> None:
        self.later: dict[str, tuple[str, ...]] = {}
        self.absent: dict[str, tuple[str, ...]] = {}
        self.instead: dict[str, Any] = {}

    def find_spec(
        self, name: str, path: "Sequence[str] | None", target: "ModuleType | None" = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] not in self.later:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is importlib.machinery.SourceFileLoader:
            spec.loader = _Loader(spec.loader.name, spec.loader.path)
        return spec


class _Loader(importlib.machinery.SourceFileLoader):
    """Executes a module whose import statements are ours while that lasts."""

    def exec_module(self, module: "ModuleType") -> None:
        module.__dict__["__builtins__"] = _ours
        _executing.add(module.__name__)
        try:
            super().exec_module(module)
        finally:
            _executing.discard(module.__name__)
        _give_parts(module)


_finder = _Finder()


def install(
    later: "Mapping[str, Sequence[str]]",
    *,
    absent: "Mapping[str, Sequence[str]] | None" = None,
    instead: "Mapping[str, Any] | None" = None,
) -> None:
    """Postpone, in this process, what packages import at their start.

    Args:
        later: the modules to postpone, by the package that imports them, such as
            `{"sklearn": ("scipy.stats",)}`; a package may postpone a module of its own that it
            imports when asked for it. What is imported already stays as it is.
        absent: the modules that a package, also a key of `later`, gets only if they are imported
            already: as if they were not installed otherwise.
        instead: what to give for a name of a postponed module, such as `scipy.stats.gmean`,
            instead of a stand-in.
    """
    if not _ours:
        _ours.update(vars(builtins), __import__=_import)
        sys.meta_path.insert(0, _finder)
    _finder.later.update({package: tuple(names) for package, names in later.items()})
    _finder.absent.update({package: tuple(names) for package, names in (absent or {}).items()})
    _finder.instead.update(instead or {})
    for package in later:
        if package in sys.modules:
            _give_parts(sys.modules[package])


def _import(
    name: str,
    globals: "Mapping[str, Any] | None" = None,  # noqa: A002  named as in `__import__`
    locals: "Mapping[str, Any] | None" = None,  # noqa: A002
    fromlist: "Sequence[str] | None" = (),
    level: int = 0,
) -> "Any":
    """Do as `__import__`, but return stand-ins to a module that is being imported."""
    importer = globals.get("__name__", "") if globals else ""
    package = importer.partition(".")[0]
    full = _full(name, globals, level)
    for absent in _finder.absent.get(package, ()):
        if _is_in(full, (absent,)) and not _is_there(absent):
            raise ModuleNotFoundError(full, name=full)
    if importer in _executing:
        later = _finder.later[package]
        if globals and "__path__" not in globals:  # a module may use constants of its neighbours
            later = tuple(own for own in later if not _is_in(own, (package,)))
        if _is_in(full, later) and (fromlist or not level):
            return _stand_in(full, fromlist)
        if fromlist and any(f"{full}.{part}" in later for part in fromlist):
            return _Names({part: _part(full, part, later) for part in fromlist})
    return builtins.__import__(name, globals, locals, fromlist, level)


def _full(name: str, globals: "Mapping[str, Any] | None", level: int) -> str:  # noqa: A002
    """Return the absolute name of what is imported."""
    if not level or globals is None:
        return name
    package = globals["__package__"].rsplit(".", level - 1)[0]
    return f"{package}.{name}" if name else package


def _give_parts(module: "ModuleType") -> None:
    """Give a package stand-ins for its own modules that it would import when asked for them."""
    for name in _finder.later.get(module.__name__, ()):
        package, _, part = name.rpartition(".")
        if package == module.__name__ and name not in sys.modules:
            setattr(module, part, Module(name))


def _is_there(name: str) -> bool:
    """Return whether a module has been imported, to its end."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


def _is_in(name: str, later: "Sequence[str]") -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in later)


def _stand_in(name: str, parts: "Sequence[str] | None") -> "Any":
    """Return what an import statement binds, or reads its names from."""
    if parts:
        given = _finder.instead
        return _Names({p: given.get(f"{name}.{p}") or Attribute(name, p) for p in parts})
    package, _, inner = name.partition(".")
    # a package imports its module when it is asked for it
    return importlib.import_module(package) if inner else Module(name)


def _part(package: str, part: str, later: "Sequence[str]") -> "Any":
    """Return one name of `from package import part`."""
    if f"{package}.{part}" in later:
        return Module(f"{package}.{part}")
    return _named(package, part)


def _named(module: str, name: str) -> "Any":
    """Return what `from module import name` gives."""
    return getattr(builtins.__import__(module, None, None, (name,)), name)
