"""Assay's own settings on a contract: policy, limits, options of checks, CSV, and paths."""

import dataclasses
import functools
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, get_args

from checks.contract import hold_from
from checks.contract.grammar import (
    FLAG,
    MOST_PATH,
    PATH,
    SCALAR,
    SHARE,
    TEXT,
    WHOLE,
    Kind,
    Mapped,
    Part,
    Settings,
    items,
    number,
    text,
    words,
)
from checks.contract.node import Node, nearest
from checks.kit import option_types
from checks.kit.contract_model import PiiAction, Policy, Role
from provenance.base.limits import Limits
from provenance.readers.csv_dialect import (
    DECIMALS,
    MOST_LINES,
    THOUSANDS,
    codec_of,
    may_comment,
    may_delimit,
)

# stages that findings name like checks; they always run and take no options
STAGES = ("ingest", "contract", "rescan")
MOST_SECONDS = 31 * 24 * 3600  # a month; timers cannot wait for ever
MOST_REVIEWERS = 2  # people who decide about one row
MOST_DEPTH = 100  # levels of nested cells, which are read by recursion
ON: list[Any] = [None, True, "on"]
OFF: list[Any] = [False, "off"]
_DAYS = re.compile(r"([1-9][0-9]{0,4})d")
_GLOB = frozenset("*?[")
_SECONDS = number(exclusiveMinimum=0, maximum=MOST_SECONDS)
_NOT_NEGATIVE = number(minimum=0)


def _days(node: Node, name: str) -> int:
    match = _DAYS.fullmatch(node.string(name))
    if match is None:
        fix = "write a number of days, such as 180d"
        raise node.fail("C005", f"{name} must be a time in days", fix=fix)
    return int(match[1])


@functools.cache
def accusers() -> Kind:
    """Return the checks whose rules accuse rows; their rules are called after them."""
    from checks.kit import registry

    kinds = registry.load().items()
    return words([n for n, kind in kinds if any(r.startswith(f"{n}.") for r in kind.explains)])


POLICY = Mapped(
    {
        "alpha": number(exclusiveMinimum=0, exclusiveMaximum=1),
        "max_quarantine_share": SHARE,
        "max_rejected_share": SHARE,
        "fail_on": words(("error", "warning")),
        "epsilon": _NOT_NEGATIVE,
        "epsilon_total": _NOT_NEGATIVE,
        "require_reason": FLAG,
        "learn": FLAG,
        "hold_from": hold_from.HOLD_FROM,
        "decisions_valid": text(_days, pattern=f"^{_DAYS.pattern}$"),
        "reviewers": number(whole=True, minimum=1, maximum=MOST_REVIEWERS),
        # read late, since it imports every check
        "second_person": items(
            Kind(lambda node, name: accusers().read(node, name), {"$ref": "#/$defs/accusers"}),
            filled=True,
        ),
    }
)
_SHARES = frozenset(
    ("alpha", "max_quarantine_share", "max_rejected_share", "epsilon", "epsilon_total")
)
LIMITS = Mapped(
    {
        **dict.fromkeys((field.name for field in dataclasses.fields(Limits)), WHOLE),
        "max_depth": number(whole=True, minimum=1, maximum=MOST_DEPTH),
        "max_memory_bytes": WHOLE,
        "ingest_seconds": _SECONDS,
        "check_seconds": _SECONDS,
    }
)


# --- CSV: the standard has a `delimiter` for servers, but no quote and no encoding ----------------


def _delimiter(node: Node, name: str) -> str:
    char = node.string(name)
    if not may_delimit(char):
        fix = 'write one ASCII character such as ";" or "|"; a tab is "\\t" in double quotes'
        raise node.fail("C005", f"{name} cannot separate cells", fix=fix)
    return char


def _encoding(node: Node, name: str) -> str:
    found = codec_of(node.string(name))
    if found is None:
        fix = "use a text encoding, such as utf-8, utf-16, latin-1, windows-1252 or shift_jis"
        raise node.fail("C005", f"unsupported encoding '{node.value}'", fix=fix)
    return found


def _comment(node: Node, name: str) -> str:
    char = node.string(name)
    if not may_comment(char):
        what = f"{name} must be one character that no cell begins with"
        raise node.fail(
            "C005", what, fix='write "#", "%", ";" or another of # % ; ! / * | @ $ & ~ ^'
        )
    return char


DELIMITER = Kind(_delimiter, {"enum": [char for char in map(chr, range(128)) if may_delimit(char)]})
_COMMENT = Kind(_comment, {"enum": [char for char in map(chr, range(128)) if may_comment(char)]})
_LINES = number(whole=True, minimum=0, maximum=MOST_LINES)
CSV = Mapped(
    {
        "delimiter": DELIMITER,
        "quote": words(('"', "'", "none")),
        "encoding": text(_encoding),
        "skip": _LINES,
        "comment": _COMMENT,
        "footer": _LINES,
        "decimal": words(DECIMALS),
        "thousands": words(THOUSANDS),
        "trim": FLAG,
        "index": TEXT,
    }
)


# --- checks --------------------------------------------------------------------------------------

_OPTIONS = {
    "number": number(exclusiveMinimum=0),
    "share": SHARE,
    "flag": FLAG,
    "texts": items(TEXT),
    "columns": items(TEXT),
    "path": PATH,
    "model": TEXT,
    **{name: number(whole=True, minimum=least) for name, least in option_types.LEAST.items()},
}


def _option(name: str, takes: option_types.Kind) -> Kind:
    """Return the kind of an option, which messages call `check.option`."""
    if isinstance(takes, tuple):
        kind = items(words(takes))
    else:
        kind = words(sorted(takes)) if isinstance(takes, frozenset) else _OPTIONS[takes]
    return Kind(lambda node, _: kind.read(node, name), kind.schema)


def _is_in(node: Node, known: list[Any]) -> bool:
    """Return whether a value is one of the words; 1 is not true and 0 is not false."""
    return any(type(node.value) is type(word) and node.value == word for word in known)


def _stage(node: Node, name: str) -> None:
    """Refuse what would promise a change to a stage, which always runs in the same way."""
    if _is_in(node, OFF):
        what = f"the stage {name} cannot be switched off: it always runs"
        raise node.fail("C005", what, fix=f"remove {name} from assay.checks")
    if not _is_in(node, ON):
        what = f"the stage {name} takes no options"
        raise node.fail("C005", what, fix=f"remove {name} from assay.checks")


def _check(check: str, takes: option_types.Takes) -> Kind:
    options = Mapped({key: _option(f"{check}.{key}", kind) for key, kind in takes.items()})

    def read(node: Node, name: str) -> Any:
        if isinstance(node.value, dict):
            if node.value and not takes:
                what, fix = f"the check {name} takes no options", "write `on` or `off`"
                raise node.fail("C004", what, fix=fix)
            return options.read(node, f"the options of {name}")
        if _is_in(node, OFF):
            return "off"
        if _is_in(node, ON):
            return {}  # named, which is what an optional check waits for
        raise node.fail("C005", f"{name} must be `on`, `off` or a mapping of options")

    return Kind(read, {"anyOf": [{"enum": [*ON, *OFF]}, options.kind().schema]})


@functools.cache
def checks() -> Mapped:
    """Return what `assay.checks` may hold: every check of the registry, and the stages."""
    from checks.kit import registry

    kinds = {name: _check(name, kind.takes) for name, kind in registry.load().items()}
    return Mapped(kinds | dict.fromkeys(STAGES, Kind(_stage, {"enum": ON})))


def policy_of(given: Part, columns: Collection[str]) -> Policy:
    """Return the policy; its numbers are shares, except for the few that are not."""
    found: dict[str, Any] = {k: float(v) if k in _SHARES else v for k, v in given.items()}
    if "second_person" in found:
        found["second_person"] = tuple(sorted(set(found["second_person"])))
    if "hold_from" in found:
        found["hold_from"] = hold_from.settled(given["hold_from"], columns)
    return Policy(**found)


_ROLE = words(get_args(Role))


def _roles(node: Node, name: str) -> list[Role]:
    """Return one role or a list of them as a list."""
    listed = node.value if isinstance(node.value, list) else [node]
    return [_ROLE.read(item, name) for item in listed]


_LABEL = Mapped({"missing": words(("allowed", "refused")), "classes": items(SCALAR, filled=True)})
_OF_COLUMN = {
    "assay.role": Kind(_roles, {"anyOf": [_ROLE.schema, {"type": "array", "items": _ROLE.schema}]}),
    "assay.pii": words(get_args(PiiAction)),
    "assay.missing": items(TEXT),
    "assay.label": _LABEL.kind(),
}
_OF_CONTRACT = {
    "assay.reference": PATH,
    "assay.policy": POLICY.kind(),
    # read late, since it imports every check
    "assay.checks": Kind(lambda node, name: checks().read(node, name), {"$ref": "#/$defs/checks"}),
    "assay.limits": LIMITS.kind(),
    "assay.csv": CSV.kind(),
    "assay.files": Mapped({"root": PATH}).kind(),
    "assay.expectations": Mapped({"docs": FLAG}).kind(),
}
OF_COLUMN = Settings(_OF_COLUMN, elsewhere=tuple(_OF_CONTRACT)).kind()
OF_PART = Settings({}, elsewhere=(*_OF_COLUMN, *_OF_CONTRACT)).kind()
OF_CONTRACT = Settings(_OF_CONTRACT, elsewhere=tuple(_OF_COLUMN)).kind()
OF_TABLE = Settings({}, elsewhere=(*_OF_COLUMN, *_OF_CONTRACT)).kind()


def check_options(given: Part, place: "Place", columns: Collection[str]) -> dict[str, Any]:
    """Return "off" or the options of each check, with absolute paths.

    Raises:
        AssayError: ASSAY-C007 for a column that the contract lacks, C010 for a path that leaves
            the root.
    """
    from checks.kit import registry

    kinds = registry.load()
    found = {name: value for name, value in given.items() if name not in STAGES}
    for name, options in found.items():
        for key, value in options.items() if isinstance(options, Part) else ():
            node, kind, what = options.nodes[key], kinds[name].takes[key], f"{name}.{key}"
            if kind == "path" or (kind == "model" and "/" in value):
                options[key] = place.inside(node, what)
            for item in node.value if kind == "columns" else ():
                if item.value not in columns:
                    what = f"{what}: unknown column '{item.value}'"
                    raise item.fail("C007", what, fix=nearest(item.value, columns))
        found[name] = dict(options) if isinstance(options, Part) else options
    return found


# --- paths ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where the contract lies, and the root that its paths may not leave (None: by default).

    `home` is the folder that its paths are relative to, if it is not the contract's own.
    """

    path: Path
    root: Path | None
    home: Path | None = None

    @property
    def folder(self) -> Path:
        """Return the folder that paths are relative to, resolved."""
        return self.home.resolve() if self.home else self.path.resolve().parent

    @property
    def limit(self) -> Path:
        """Return the root, resolved; never the whole file system because someone works there."""
        if self.root is not None:
            return self.root.resolve()
        here = Path.cwd().resolve()
        is_wider = here != here.parent and self.folder.is_relative_to(here)
        return here if is_wider else self.folder

    def inside(self, node: Node, what: str) -> str:
        """Return a path of the contract, absolute; C010 if it does not lie below the root."""
        text = node.string(what)
        if len(text) > MOST_PATH:
            raise node.fail("C010", f"{what} is longer than {MOST_PATH} characters")
        if "://" in text or text.startswith("~") or "$" in text:
            fix = "name it on the command line"
            what = f"{what} must be a plain path, without URL, `~` or variable"
            raise node.fail("C010", what, fix=fix)
        parts = Path(text).parts
        fixed = next((i for i, part in enumerate(parts) if _GLOB & set(part)), len(parts))
        if ".." in parts[fixed:]:
            raise node.fail("C010", f"{what} has '..' after a wildcard")
        try:
            start = self.folder.joinpath(*parts[:fixed]).resolve()
        except (OSError, RuntimeError) as error:
            raise node.fail("C010", f"{what} cannot be resolved") from error
        if not start.is_relative_to(self.limit):
            what = f"{what} leaves the root, the folder '{self.limit.name}'"
            fix = "move the file below it, or name it on the command line"
            raise node.fail("C010", what, fix=fix)
        return str(start.joinpath(*parts[fixed:]))
