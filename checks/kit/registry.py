"""The registry: a module in `checks/` with a `Check` subclass is a check, and nothing else is.

Found by walking the package, so a new check is one new file; a name used twice raises.
"""

import importlib
import inspect
import pkgutil

import checks
from checks.kit.protocol import Check, Context

NO_CHECKS = ("checks.kit", "checks.contract", "checks.rules")  # what checks stand on
Registry = dict[str, type[Check]]  # type: ignore[type-arg]


def load() -> Registry:
    """Return every check by name, sorted by name."""
    found: Registry = {}
    for info in pkgutil.iter_modules(checks.__path__, "checks."):
        if info.name not in NO_CHECKS:
            for item in _classes(importlib.import_module(info.name)):
                if item.name in found:
                    message = f"check name used twice: {item.name}"
                    raise ValueError(message)
                found[item.name] = item
    return dict(sorted(found.items()))


def select(context: Context) -> tuple[dict[str, Check], dict[str, str]]:  # type: ignore[type-arg]
    """Return the checks to run, and the reason for each one that is not but for unasked options."""
    chosen: dict[str, Check] = {}  # type: ignore[type-arg]
    skipped: dict[str, str] = {}
    for name, kind in load().items():
        if context.contract.is_off(name):
            skipped[name] = "turned off by the contract"
        elif kind.is_option and name not in context.contract.checks:
            continue  # nobody asked for it
        elif missing := sorted(need for need in kind.needs if not _has(context, need)):
            skipped[name] = f"the contract names no {' and no '.join(missing)}"
        else:
            chosen[name] = kind(context)
    return chosen, skipped


def _classes(module: object) -> list[type[Check]]:  # type: ignore[type-arg]
    here = getattr(module, "__name__", "")
    members = (item for _, item in inspect.getmembers(module, inspect.isclass))
    return [
        item
        for item in members
        if issubclass(item, Check) and item.__module__.startswith(here) and hasattr(item, "name")
    ]


def _has(context: Context, need: str) -> bool:
    if need == "reference":
        return context.reference is not None
    return bool(context.contract.having(need))  # type: ignore[arg-type]
