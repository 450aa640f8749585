"""Assay's own settings in a contract: custom properties, policy, check options, limits, paths."""

import dataclasses
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from checks.contract import check_options, odcs
from checks.contract.node import Node, nearest
from checks.contract.type_rules import Scope
from checks.kit.contract_model import Policy
from provenance.base.limits import Limits
from provenance.files import remote

STAGE_LIMITS = ("max_memory_bytes", "ingest_seconds", "check_seconds")
# stages that findings name like checks; they always run and take no options
STAGES = ("ingest", "contract", "rescan")
MOST_SECONDS = 31 * 24 * 3600  # a month; timers cannot wait for ever
MOST_PATH = 4096  # characters
ON = (None, True, "on")
OFF = (False, "off")
_GLOB = frozenset("*?[")


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
        """Return a path of the contract, absolute; C010 if it is no path below the root."""
        text = node.string(what)
        if len(text) > MOST_PATH:
            raise node.fail("C010", f"{what} is longer than {MOST_PATH} characters")
        if "://" in text or text.startswith("~") or "$" in text:
            fix = "name it on the command line"
            raise node.fail("C010", f"{what} must be a plain path, no URL or variable", fix=fix)
        parts = Path(text).parts
        fixed = next((i for i, part in enumerate(parts) if _GLOB & set(part)), len(parts))
        if ".." in parts[fixed:]:
            raise node.fail("C010", f"{what} has '..' after a wildcard")
        try:
            start = self.folder.joinpath(*parts[:fixed]).resolve()
        except (OSError, RuntimeError) as error:
            raise node.fail("C010", f"{what} cannot be resolved") from error
        if not start.is_relative_to(self.limit):
            raise node.fail(
                "C010",
                f"{what} leaves the root, the folder '{self.limit.name}'",
                fix="move the file below it, or name it on the command line",
            )
        return str(start.joinpath(*parts[fixed:]))


def custom(node: Node | None, known: Iterable[str], scope: Scope) -> dict[str, Node]:
    """Return Assay's custom properties by name; those of other tools are noted and ignored."""
    found: dict[str, Node] = {}
    names = sorted(known)
    for item in node.items("customProperties") if node else []:
        entry = item.anything("a custom property")
        if "property" not in entry:
            raise item.fail("C005", "a custom property has no `property`")
        name = entry["property"].string("property")
        if not _is_own(name):
            scope.ignored(name, entry["property"], "it belongs to another tool")
        elif name not in names:
            everywhere = odcs.ASSAY_CONTRACT + odcs.ASSAY_PROPERTY
            fix = "it does not belong here" if name in everywhere else nearest(name, names)
            raise entry["property"].fail("C004", f"unknown custom property '{name}'", fix=fix)
        elif "value" not in entry:
            raise item.fail("C005", f"{name} has no value")
        elif name in found:
            raise entry["property"].fail("C003", f"{name} is given twice")
        else:
            found[name] = entry["value"]
    return found


def _is_own(name: str) -> bool:
    return name.lower().replace("_", ".").startswith("assay")


def read(
    given: dict[str, Node], place: Place, columns: Collection[str]
) -> tuple[Policy, dict[str, Any]]:
    """Return the policy, and `checks`, `limits` and `reference` of a contract of these columns."""
    rest: dict[str, Any] = {}
    if "assay.reference" in given:
        rest["reference"] = place.inside(given["assay.reference"], "assay.reference")
    if "assay.checks" in given:
        rest["checks"] = _checks(given["assay.checks"], place, columns)
    if "assay.limits" in given:
        rest["limits"] = _limits(given["assay.limits"])
    policy = _policy(given["assay.policy"]) if "assay.policy" in given else Policy()
    return policy, rest


def source(servers: Node | None, place: Place, scope: Scope) -> str | None:
    """Return the path of the first server, the default source; None if it has none."""
    listed = servers.items("servers") if servers else []
    found = [item.mapping("a server", odcs.SERVER) for item in listed]
    for item, node in zip(found[1:], listed[1:], strict=True):
        scope.ignored("servers", item.get("server", node), "only the first one is read")
    if not found:
        return None
    if "endpointUrl" in found[0]:  # a contract must not send credentials to a host of its choice
        why = "the endpoint is the one of this environment, e.g. AWS_ENDPOINT_URL"
        scope.ignored("endpointUrl", found[0]["endpointUrl"], why)
    if "path" in found[0]:
        return place.inside(found[0]["path"], "servers[0].path")
    return _location(found[0]["location"]) if "location" in found[0] else None


def _location(node: Node) -> str:
    """Return the URL of an object store; C010 for whatever else a location may reach."""
    text = node.string("servers[0].location")
    if remote.is_plain_store(text):
        return text
    fix = f"give {', '.join(sorted(remote.STORES))} without credentials, or name it with --source"
    raise node.fail("C010", "the location must be the plain URL of an object store", fix=fix)


def _policy(node: Node) -> Policy:
    known = [field.name for field in dataclasses.fields(Policy)]
    given = node.mapping("assay.policy", known)
    values: dict[str, Any] = {}
    for key, item in given.items():
        if key == "fail_on":
            values[key] = item.choice(key, ("error", "warning"))
            continue
        if key.startswith("epsilon"):
            values[key] = _budget(key, item)
            continue
        share = item.number(key)
        if not 0 <= share <= 1 or (key == "alpha" and share in (0, 1)):
            raise item.fail("C005", f"{key} must be a share between 0 and 1", fix="e.g. 0.1")
        values[key] = float(share)
    return Policy(**values)


def _budget(key: str, item: Node) -> float:
    number = float(item.number(key))
    if number < 0:
        raise item.fail("C005", f"{key} must be a number of at least 0", fix="e.g. 0.1")
    return number


def _checks(node: Node, place: Place, columns: Collection[str]) -> dict[str, Any]:
    from checks.kit import registry

    kinds = registry.load()
    found: dict[str, Any] = {}
    for name, item in node.anything("assay.checks").items():
        if name not in kinds and name not in STAGES:
            fix = nearest(name, sorted({*kinds, *STAGES}))
            raise node.fail_at(name, "C004", f"there is no check '{name}'", fix=fix)
        if name in STAGES:
            _refuse_setting(name, item)
        elif isinstance(item.value, dict):
            found[name] = check_options.read(name, item, kinds[name].takes, place.inside, columns)
        elif _is_word(item, OFF):
            found[name] = "off"
        elif _is_word(item, ON):
            found[name] = {}  # named, which is what an optional check waits for
        else:
            raise item.fail("C005", f"assay.checks.{name} must be `off` or a mapping of options")
    return found


def _is_word(node: Node, words: tuple[Any, ...]) -> bool:
    """Return whether the node is one of the words; 1 is not true and 0 not false."""
    return any(type(node.value) is type(word) and node.value == word for word in words)


def _refuse_setting(stage: str, item: Node) -> None:
    """Refuse whatever would promise a change to a stage, which always runs and the same way."""
    if _is_word(item, ON):
        return
    fix = f"leave {stage} out of assay.checks"
    if _is_word(item, OFF):
        always = " and ".join((", ".join(STAGES[:-1]), STAGES[-1]))
        raise item.fail(
            "C005", f"the stage {stage} cannot be switched off; {always} always run", fix=fix
        )
    raise item.fail("C005", f"the stage {stage} takes no options", fix=fix)


def _limits(node: Node) -> dict[str, int | float]:
    known = [field.name for field in dataclasses.fields(Limits)]
    given = node.mapping("assay.limits", [*known, *STAGE_LIMITS])
    found: dict[str, int | float] = {}
    for key, item in given.items():
        number = item.number(key) if key.endswith("_seconds") else item.integer(key)
        if number <= 0:
            raise item.fail("C005", f"{key} must be above 0")
        if key.endswith("_seconds") and number > MOST_SECONDS:
            raise item.fail("C005", f"{key} must be at most {MOST_SECONDS}", fix="leave it out")
        found[key] = number
    return found
