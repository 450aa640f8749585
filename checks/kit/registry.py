"""The registry: a module in `checks/` with a `Check` subclass is a check, and nothing else is.

It walks the package, so a new check is one new file; a name used twice raises. The functions below
`select` ask every check that offers a hook, whether or not the contract turns the check off.
"""

import dataclasses
import functools
import importlib
import inspect
import pkgutil
from collections.abc import Iterator

import pyarrow as pa

import checks
from checks.kit import findings
from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Check, Context, FileUse

NO_CHECKS = ("checks.kit", "checks.contract", "checks.rules")  # what checks are built on
Registry = dict[str, type[Check]]  # type: ignore[type-arg]


@dataclasses.dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that an option of a check names."""

    check: str
    option: str
    path: str
    use: FileUse


def load() -> Registry:
    """Return every check by name, sorted by name."""
    return dict(_found())


@functools.cache
def _found() -> Registry:
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
    """Return the checks to run, and why each other is skipped, except options nobody asked for."""
    chosen: dict[str, Check] = {}  # type: ignore[type-arg]
    skipped: dict[str, str] = {}
    for name, kind in load().items():
        if context.contract.is_off(name):
            skipped[name] = "turned off by the contract"
        elif kind.is_option and name not in context.contract.checks:
            continue  # nobody asked for it
        elif missing := _missing(context, kind):
            if not kind.is_of_role:
                skipped[name] = f"the contract names no {' and no '.join(missing)}"
        else:
            chosen[name] = kind(context)
    return chosen, skipped


def libraries(contract: Contract, *, has_reference: bool) -> tuple[str, ...]:
    """Return the modules of libraries that the checks of a contract use, each once, in order."""
    context = Context(contract, pa.schema([]), 0, pa.table({}) if has_reference else None)
    kinds = [
        kind
        for name, kind in load().items()
        if not (contract.is_off(name) or (kind.is_option and name not in contract.checks))
        and not _missing(context, kind)
    ]
    return tuple(dict.fromkeys(name for kind in kinds for name in kind.libraries))


def offering(hook: str) -> Registry:
    """Return the checks that override a hook, by name."""
    default = getattr(Check, hook).__func__
    return {
        name: kind for name, kind in load().items() if getattr(kind, hook).__func__ is not default
    }


def graded_rules() -> frozenset[str]:
    """Return the rules whose scores order their rows, see `Check.is_graded`."""
    return frozenset(rule for kind in load().values() if kind.is_graded for rule in kind.explains)


def named_files(contract: Contract) -> Iterator[NamedFile]:
    """Yield the files that the options of the contract's active checks name."""
    for name, kind in load().items():
        options = {} if contract.is_off(name) else contract.options(name)
        for option, use in kind.named_files.items():
            if options.get(option):
                yield NamedFile(name, option, str(options[option]), use)


def prepare(contract: Contract) -> None:
    """Load what options name; AssayError ASSAY-K003 if it cannot be used."""
    for kind in offering("prepare").values():
        kind.prepare(contract)


def redact(
    texts: pa.Array, column: str, contract: Contract, *, key: bytes | None = None
) -> pa.Array:
    """Return a column's cells with placeholders for what must not be published."""
    for kind in offering("redact").values():
        texts = kind.redact(texts, column, contract, key=key)
    return texts


def scan_clean(
    table: pa.Table, contract: Contract, found: findings.Findings | None = None
) -> findings.Findings:
    """Return what rows about to be published still hold; `row` counts from 0 in `table`."""
    kinds = offering("scan_clean").values()
    return findings.concat([kind.scan_clean(table, contract, found) for kind in kinds])


def suggest(column: Column, texts: pa.Array) -> list[str]:
    """Return comments on a column for the person who reviews a proposed contract."""
    kinds = offering("suggest").values()
    return [comment for kind in kinds for comment in kind.suggest(column, texts)]


def is_private(column: str, values: pa.Array | None = None) -> bool:
    """Return whether values must stay out of a contract; None: judged by the name alone."""
    return any(kind.is_private(column, values) for kind in offering("is_private").values())


def _classes(module: object) -> list[type[Check]]:  # type: ignore[type-arg]
    here = getattr(module, "__name__", "")
    members = (item for _, item in inspect.getmembers(module, inspect.isclass))
    return [
        item
        for item in members
        if issubclass(item, Check) and item.__module__.startswith(here) and hasattr(item, "name")
    ]


def _missing(context: Context, kind: type[Check]) -> list[str]:  # type: ignore[type-arg]
    missing = sorted(need for need in kind.needs if not _has(context, need))
    if kind.needs_one and not any(_has(context, need) for need in kind.needs_one):
        missing.append(" or ".join(sorted(kind.needs_one)))
    return missing


def _has(context: Context, need: str) -> bool:
    contract = context.contract
    if need == "reference":
        return context.reference is not None
    if need == "test":
        return contract.test_set is not None
    if need == "nested":
        return any(column.spec.is_nested for column in contract.columns)
    return bool(contract.having(need))  # type: ignore[arg-type]
