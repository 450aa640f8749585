"""`assay init`: a first contract from a source, by what most of its cells show.

Ranges are widened for the next sample, a set of values is only proposed if it is small and its
values repeat, and a key only if its name suggests one. Rare cells that differ from the others are
kept out of the rules and told; the rules then hold their rows. Lines that a person should review
are marked `# check:`. A column that gives the label away is found by the very check that runs
later, and is ignored.
"""

import dataclasses
import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from checks.contract.node import nearest
from checks.kit import findings, registry
from checks.kit.contract_model import Contract, Policy
from checks.kit.protocol import Context
from checks.kit.wording import count
from pipelines.proposal import (
    as_written,
    breaking,
    columns,
    content_roles,
    deviants,
    keys,
    label_cells,
    nested_columns,
    privacy,
    rules,
)
from pipelines.proposal.columns import Seen
from pipelines.proposal.contract_yaml import Proposal, contract_text, csv_settings
from provenance.base.errors import AssayError
from provenance.files import delta, remote
from provenance.readers.csv_dialect import Dialect
from provenance.rows.shards import Shard, read_shard
from provenance.rows.snapshot import Snapshot

LABELS = ("label", "target", "y", "class")  # names that are clear enough to recognise
_TEXT_SHARE = 0.5  # of the cells of a text column differ, up to MOST_VALUES
_SOURCES = (2, 200)  # distinct values of a source column
_KEY = re.compile(r"(?i)^(id|key|uuid|guid|index|row_?id|pk)$|[_ .-](id|uuid|guid|key)$|^id[_ .-]")
_CAMEL_KEY = re.compile(r"[a-z0-9](Id|ID|Uuid|UUID|Key)$")
_SOURCE = re.compile(
    r"(?i)^(data_?)?(source|branch|vendor|origin|provider|supplier|site|station|uploader|"
    r"annotator|contributor|hospital|collector)(_?(id|name|code))?$"
)
_TIME = re.compile(
    r"(?i)(^|[_ .-])(date|time|timestamp|datetime|day|created|updated|occurred|recorded|observed|"
    r"applied|ordered|event|ts)([_ .-]|$)|[_ .-](at|on)$"
)
_BIRTH = re.compile(r"(?i)birth|dob|expir|due|hired")


def propose(  # noqa: PLR0913  # one argument for each thing that a user may specify
    snapshot: Snapshot,
    *,
    name: str,
    label: str | None = None,
    key: str | None = None,
    source: str | None = None,
    contract_folder: Path | None = None,
    dialect: Dialect | None = None,
    trust: bool = False,
) -> tuple[str, dict[str, Any]]:
    """Propose a contract for an ingested source.

    Args:
        snapshot: ingested without a contract.
        name: of the dataset.
        label: the label column, None to recognise it by a clear name.
        key: the key column, None to look for one.
        source: as the user named it; becomes servers[0].path if it is below the contract's folder.
        contract_folder: where the contract will be written.
        dialect: of the source; the contract states what differs from the default.
        trust: take every cell as right, so that all of them pass the rules.

    Returns:
        The YAML, and a summary: `columns`, `label`, `key`, `check` (lines to review), `notes`,
        `breaking` (rows of the source that the rules hold), `deviants` (by column, cells by kind).

    Raises:
        AssayError: ASSAY-C007 if the label or the key is not a column.
    """
    notes: list[str] = []
    look = functools.partial(columns.columns, trust=trust)
    written, seen = as_written.seen(snapshot, dialect or Dialect(), look, trust=trust)
    snapshot = written.snapshot
    for given in (label, key):
        _refuse_unknown(given, seen)
    proposals = [Proposal(column) for column in seen]
    notes += as_written.tell(written, proposals)
    _propose_label(proposals, label, notes)
    repeated, faults = _propose_key(proposals, snapshot, key, trust=trust)
    _propose_columns(proposals, snapshot, notes)
    notes += faults
    broken = breaking.count(snapshot, proposals, repeated)
    _tell(proposals, broken, notes)
    path = _path_below(source, contract_folder)
    settings = csv_settings(written.dialect, snapshot.sources[0].format)
    notes += _of_reading(snapshot, settings)
    first = snapshot.sources[0]
    form = "delta" if delta.is_table(first.name) else first.format.partition(".")[0]
    text = contract_text(
        proposals, name=name, rows=snapshot.rows, path=path, form=form, settings=settings
    )
    return text, _summary(proposals, text, notes) | {"breaking": broken.held}


def _of_reading(snapshot: Snapshot, settings: Mapping[str, Any]) -> list[str]:
    """Return what to tell of the source's format, and of lines that are no rows."""
    notes = []
    if settings:
        found = ", ".join(f"{key} {value!r}" for key, value in settings.items())
        notes.append(f"the format of the CSV, as detected (assay.csv): {found}")
    notes += [f"{n.message} ({n.where})" for n in snapshot.warnings if n.code == "ASSAY-I040"]
    lost = snapshot.rows - sum(ref.rows for ref in snapshot.shards)
    if lost:
        what = f"{lost:,} of {snapshot.rows:,} rows cannot be split into cells"
        notes.append(f"{what} and will be rejected: check the file")
    return notes


def _propose_columns(proposals: list[Proposal], snapshot: Snapshot, notes: list[str]) -> None:
    """Propose the roles and rules of all columns, once label and key are known."""
    seen = [proposal.seen for proposal in proposals]
    for proposal in proposals:
        if role := nested_columns.role_of(proposal.seen.nested):
            proposal.roles.append(role)
            proposal.comments.append(f"check: the role {role}, by its type and name")
    content_roles.propose(proposals, snapshot)
    for role, test in (("time", _is_time), ("source", _is_source), ("text", _is_text)):
        _propose_role(proposals, role, test)
    numbers = sum(column.logical in ("integer", "number") for column in seen)
    for proposal in proposals:
        rules.propose(proposal, numbers)
    privacy.note(proposals, read_shard(snapshot.shards[0]))
    _ignore_empty(proposals, notes)
    _ignore_leaks(proposals, snapshot, notes)
    for proposal in proposals:
        _propose_growing(proposal)


def _propose_growing(proposal: Proposal) -> None:
    """Give a column that grows the role of a time or a sequence, unless it has another."""
    seen = proposal.seen
    if not seen.grows or proposal.roles or proposal.is_named:
        return
    role = "time" if seen.logical in ("date", "timestamp") else "sequence"
    proposal.roles.append(role)
    why = "its values rise from row to row, so it has no maximum"
    proposal.comments.append(f"check: a {role}: {why}")


def _tell(proposals: list[Proposal], broken: breaking.Breaking, notes: list[str]) -> None:
    """Tell of the cells that are kept out of the rules, and of the rows that break those."""
    for proposal in proposals:
        seen = proposal.seen
        told = list(seen.comments)
        is_private = bool(seen.deviants.kinds) and privacy.is_personal(seen)
        told += seen.deviants.worded(seen.filled + seen.held, is_private=is_private)
        told += deviants.read_as_missing(seen.absent)
        told += deviants.doubtful_words(seen.counts) if seen.logical == "string" else []
        proposal.comments += [f"check: {text}" for text in told]
        notes += [f"'{seen.name}': {text}" for text in told]
    notes += label_cells.faults(proposals, broken)
    if broken.held:
        rows = max(proposals[0].seen.rows, 1)
        share = f"{broken.held:,} of {rows:,} rows of this source break the proposed rules"
        limit = Policy().max_quarantine_share
        tail = " and will be held"
        if broken.held > limit * rows:
            tail += f": more than {limit:.0%}, so a run fails until the source or the rules change"
        notes.append(share + tail)


def _summary(proposals: list[Proposal], text: str, notes: list[str]) -> dict[str, Any]:
    found = text.count("# check:")
    size = f"{count(len(proposals), 'column')}, {count(found, 'line')} to review (`# check:`)"
    return {
        "columns": len(proposals),
        "label": next((p.seen.name for p in proposals if "label" in p.roles), None),
        "key": next((p.seen.name for p in proposals if p.is_key), None),
        "check": found,
        "deviants": {p.seen.name: p.seen.deviants.counts for p in proposals if p.seen.held},
        "notes": [size, *notes],
    }


def _refuse_unknown(given: str | None, seen: list[Seen]) -> None:
    names = [column.name for column in seen]
    if given is not None and given not in names:
        raise AssayError("C007", f"there is no column '{given}'", fix=nearest(given, names))


def _propose_label(proposals: list[Proposal], given: str | None, notes: list[str]) -> None:
    by_name = {p.seen.name.lower(): p for p in proposals}
    chosen = next((p for p in proposals if p.seen.name == given), None)
    if given is None:
        fits = [by_name[name] for name in LABELS if name in by_name]
        chosen = next((p for p in fits if 1 < p.seen.distinct <= rules.MOST_CLASSES), None)
        if chosen is None:
            notes.append("no label column given or recognised by name; pass --label COLUMN")
            return
        chosen.comments.append("check: the label, recognised by its name")
        notes.append(f"'{chosen.seen.name}' is the label, recognised by its name")
    if chosen is None:
        return
    if chosen.seen.nested is not None:
        holds = "holds bytes" if chosen.seen.nested.is_binary else "is nested"
        what = f"column '{given}' {holds}, and a label must be one text or number per row"
        raise AssayError("C008", what, fix="choose another column, or none")
    chosen.roles.append("label")
    label_cells.propose(chosen)


def _propose_key(
    proposals: list[Proposal], snapshot: Snapshot, given: str | None, *, trust: bool
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Propose the key and other unique columns; return the rows that repeat, by column, and notes.

    A given key is taken at its word. Another column must be called like a key, and its values
    differ, save for a rare few.
    """
    notes: list[str] = []
    named = [p for p in proposals if p.seen.name == given or (not p.roles and _is_key_name(p.seen))]
    facts = keys.facts(snapshot, [p.seen.name for p in named if p.seen.rows > 1])
    fits = [p for p in named if p.seen.name in facts and _may_be_key(p, facts, given, trust=trust)]
    fits.sort(key=lambda p: p.seen.name != given)
    for proposal in fits:
        name = proposal.seen.name
        if name != given:
            is_dense = facts[name].is_dense
            proposal.doubt("unique", rules.doubt_uniqueness(proposal.seen, is_dense=is_dense))
        _propose_unique(proposal, given, is_first=not any(p.is_key for p in proposals))
        if "unique" in proposal.doubts:
            notes.append(
                f"'{name}' may be a key, but there are too few rows; pass --key {name} if so"
            )
        notes += _key_faults(proposal, facts[name].repeated)
    errors = [p.seen.name for p in fits if "unique" not in p.doubts]
    return {name: facts[name].repeated for name in errors}, notes


def _may_be_key(
    proposal: Proposal, facts: Mapping[str, keys.KeyFacts], given: str | None, *, trust: bool
) -> bool:
    seen, found = proposal.seen, facts[proposal.seen.name]
    if seen.name == given:
        return True
    is_faultless = seen.filled == seen.rows and not len(found.repeated)
    return is_faultless or (not trust and keys.may_be_key(seen, found))


def _key_faults(proposal: Proposal, repeated: np.ndarray) -> list[str]:
    """Tell of rows that share their key with another, or have none; name the first ones."""
    seen, notes = proposal.seen, []
    if len(repeated):
        first = ", ".join(map(str, repeated[: breaking.NAMED]))
        more = ", ..." if len(repeated) > breaking.NAMED else ""
        notes.append(f"{count(len(repeated), 'row')} repeat the key of another row: {first}{more}")
    if missing := seen.rows - seen.filled - seen.held:
        notes.append(f"{count(missing, 'row')} have no key")
    proposal.comments += [f"check: {note}" for note in notes]
    return [f"'{seen.name}': {note}" for note in notes]


def _propose_unique(proposal: Proposal, given: str | None, *, is_first: bool) -> None:
    """Make a column the key, another unique column, or a doubtful one that is ignored."""
    if "unique" in proposal.doubts:
        proposal.is_unique = True
        proposal.roles.append("ignore")
        proposal.comments.append("check: ignored, as it may be a key; if so, set primaryKey: true")
    elif is_first:
        proposal.is_key = True
        if proposal.seen.name != given:
            proposal.comments.append("check: the primary key, by its name and its distinct values")
    else:
        proposal.is_unique = True


def _is_key_name(seen: Seen) -> bool:
    if seen.logical not in ("string", "integer") or seen.nested is not None:
        return False
    return bool(_KEY.search(seen.name) or _CAMEL_KEY.search(seen.name))


def _propose_role(proposals: list[Proposal], role: str, test: Any) -> None:
    """Give a role to the columns that fit it; `time` and `source` only to the first one."""
    for proposal in proposals:
        if proposal.roles or proposal.is_key or not test(proposal.seen):
            continue
        proposal.roles.append(role)
        if role != "text":
            proposal.comments.append(f"check: the {role} column, recognised by its name")
            return


def _is_time(seen: Seen) -> bool:
    is_moment = seen.logical in ("date", "timestamp") and seen.is_complete
    return is_moment and bool(_TIME.search(seen.name)) and not _BIRTH.search(seen.name)


def _is_source(seen: Seen) -> bool:
    least, most = _SOURCES
    return bool(_SOURCE.search(seen.name)) and least <= seen.distinct <= most


def _is_text(seen: Seen) -> bool:
    if seen.logical != "string" or not seen.filled:
        return False
    is_wordy = seen.words >= columns.WORDY * seen.filled
    return is_wordy and seen.distinct >= min(_TEXT_SHARE * seen.filled, columns.MOST_VALUES)


def _ignore_empty(proposals: list[Proposal], notes: list[str]) -> None:
    for proposal in proposals:
        if not proposal.seen.filled and proposal.seen.rows:
            proposal.roles = ["ignore"]
            proposal.comments.append("check: ignored, as no row has a value")
            notes.append(f"'{proposal.seen.name}' is ignored: no row has a value")


def _ignore_leaks(proposals: list[Proposal], snapshot: Snapshot, notes: list[str]) -> None:
    """Ignore what the leakage check would refuse the dataset for, and mark what it warns of."""
    contract = _contract(proposals)
    if contract.label is None or not snapshot.shards:
        return
    by_name = {proposal.seen.name: proposal for proposal in proposals}
    for item in _telling_columns(proposals, snapshot, contract):
        if item["column"] not in by_name:
            continue
        proposal = by_name[item["column"]]
        if item["severity"] == "error":
            proposal.roles = ["ignore"]
            proposal.comments.append(f"check: ignored: {item['evidence']}")
            why = "the rows are sorted by the label: " if proposal.is_index else ""
            notes.append(f"'{item['column']}' is ignored: {why}{item['evidence']}")
        else:
            proposal.comments.append(f"check: {item['evidence']}")


def _telling_columns(
    proposals: list[Proposal], snapshot: Snapshot, contract: Contract
) -> list[dict[str, Any]]:
    """Return what the checks that find telling columns report on the whole source."""
    seen = [proposal.seen for proposal in proposals]
    seen = [column for column in seen if column.nested is None]
    first = columns.as_typed(read_shard(snapshot.shards[0]).table, seen)
    context = Context(contract, first.schema, snapshot.rows)
    kinds = [kind for kind in registry.load().values() if kind.finds_telling_columns]
    checks = [kind(context) for kind in kinds if kind.needs <= {"label"}]
    states: dict[str, Any] = {}
    for ref in snapshot.shards:
        shard = read_shard(ref)
        typed = Shard(shard.number, columns.as_typed(shard.table, seen), shard.rows, shard.digests)
        for check in checks:
            part, name = check.fit(typed), check.name
            states[name] = check.merge(states[name], part) if name in states else part
    found = [check.finish(states[check.name]).overall for check in checks]
    rows: list[dict[str, Any]] = findings.concat(found).to_pylist()
    return rows


def _contract(proposals: list[Proposal]) -> Contract:
    columns_ = tuple(map(privacy.column_of, proposals))
    # an index is ignored, but a table that is sorted by its label must be told all the same
    columns_ = tuple(
        dataclasses.replace(column, roles=column.roles - {"ignore"}) if p.is_index else column
        for p, column in zip(proposals, columns_, strict=True)
    )
    return Contract("proposal", "1", "contract.yaml", "0" * 64, columns_)


def _path_below(source: str | None, folder: Path | None) -> str | None:
    """Return the source relative to the contract's folder, None if it is not below that folder.

    The URL of an object store is returned unchanged, if a contract may name it.
    """
    if source is None or folder is None:
        return None
    if remote.is_url(source) and remote.local_path(source) is None:
        return source if remote.is_plain_store(source) else None
    path = Path(remote.local_path(source) or source).absolute()
    try:
        return path.parent.resolve().joinpath(path.name).relative_to(folder.resolve()).as_posix()
    except ValueError:
        return None
