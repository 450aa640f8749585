"""`assay init`: a first contract from a source, under which that source passes.

The proposal is what the source shows, with room for the next sample: ranges are widened, a set of
values is only proposed if it is small and its values repeat, and a key only if its name suggests
one. Lines that a person should review are marked `# check:`. A column that gives the label away is
found by the very check that runs later, and is ignored.
"""

import re
from pathlib import Path
from typing import Any

from checks.contract.node import nearest
from checks.kit import findings, registry
from checks.kit.contract_model import Contract
from checks.kit.protocol import Context
from checks.kit.wording import count
from pipelines.proposal import columns, nested_columns, privacy, rules
from pipelines.proposal.columns import Seen
from pipelines.proposal.contract_yaml import Proposal, contract_text, csv_settings
from provenance.base.errors import AssayError
from provenance.files import delta, remote
from provenance.readers.csv_dialect import Dialect
from provenance.rows.shards import Shard, read_shard
from provenance.rows.snapshot import Snapshot

LABELS = ("label", "target", "y", "class")  # names that are clear enough to recognise
_TEXT_WORDS = 4  # mean words per cell of a text column
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

    Returns:
        The YAML, and a summary: `columns`, `label`, `key`, `check` (lines to review), `notes`.

    Raises:
        AssayError: ASSAY-C007 if the label or the key is not a column.
    """
    notes: list[str] = []
    proposals = _proposals(snapshot, label, key, notes)
    path = _path_below(source, contract_folder)
    settings = csv_settings(dialect or Dialect(), snapshot.sources[0].format)
    if settings:
        notes.append(f"the CSV has an unusual {' and '.join(settings)}: see assay.csv")
    lost = snapshot.rows - sum(ref.rows for ref in snapshot.shards)
    if lost:
        what = f"{lost:,} of {snapshot.rows:,} rows cannot be split into cells"
        notes.append(f"{what} and will be rejected: check the file")
    first = snapshot.sources[0]
    form = "delta" if delta.is_table(first.name) else first.format.partition(".")[0]
    text = contract_text(
        proposals, name=name, rows=snapshot.rows, path=path, form=form, settings=settings
    )
    return text, _summary(proposals, text, notes)


def _proposals(
    snapshot: Snapshot, label: str | None, key: str | None, notes: list[str]
) -> list[Proposal]:
    seen = columns.columns(snapshot)
    for given in (label, key):
        _refuse_unknown(given, seen)
    proposals = [Proposal(column) for column in seen]
    _propose_label(proposals, label, notes)
    _propose_key(proposals, snapshot, key, notes)
    for proposal in proposals:
        if role := nested_columns.role_of(proposal.seen.nested):
            proposal.roles.append(role)
            proposal.comments.append(f"check: the role {role}, by its type and name")
    for role, test in (("time", _is_time), ("source", _is_source), ("text", _is_text)):
        _propose_role(proposals, role, test)
    numbers = sum(column.logical in ("integer", "number") for column in seen)
    for proposal in proposals:
        rules.propose(proposal, numbers)
    privacy.note(proposals, read_shard(snapshot.shards[0]))
    _ignore_empty(proposals, notes)
    _ignore_leaks(proposals, snapshot, notes)
    return proposals


def _summary(proposals: list[Proposal], text: str, notes: list[str]) -> dict[str, Any]:
    found = text.count("# check:")
    size = f"{count(len(proposals), 'column')}, {count(found, 'line')} to review (`# check:`)"
    return {
        "columns": len(proposals),
        "label": next((p.seen.name for p in proposals if "label" in p.roles), None),
        "key": next((p.seen.name for p in proposals if p.is_key), None),
        "check": found,
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
        what = f"column '{given}' is nested, and a label has one value a row"
        raise AssayError("C008", what, fix="choose another column, or none")
    chosen.roles.append("label")
    missing = chosen.seen.rows - chosen.seen.filled
    if missing:
        chosen.comments.append(f"check: {missing:,} rows have no label and will be quarantined")


def _propose_key(
    proposals: list[Proposal], snapshot: Snapshot, given: str | None, notes: list[str]
) -> None:
    named = [p for p in proposals if p.seen.name == given or (not p.roles and _is_key_name(p.seen))]
    full = [p for p in named if p.seen.filled == p.seen.rows > 1]
    facts = columns.keys(snapshot, [p.seen.name for p in full])
    fits = [p for p in full if p.seen.name in facts]
    fits.sort(key=lambda p: p.seen.name != given)
    if given is not None and not any(p.seen.name == given for p in fits):
        why = "has repeated values" if any(p.seen.name == given for p in full) else "has gaps"
        notes.append(f"'{given}' is not declared as the key: it {why}")
    for proposal in fits:
        if proposal.seen.name != given:
            doubt = rules.doubt_uniqueness(proposal.seen, facts[proposal.seen.name])
            proposal.doubt("unique", doubt)
        _propose_unique(proposal, given, is_first=not any(p.is_key for p in proposals))
        if "unique" in proposal.doubts:
            name = proposal.seen.name
            notes.append(
                f"'{name}' may be a key, but there are too few rows; pass --key {name} if so"
            )


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
    is_moment = seen.logical in ("date", "timestamp") and seen.filled == seen.rows
    return is_moment and bool(_TIME.search(seen.name)) and not _BIRTH.search(seen.name)


def _is_source(seen: Seen) -> bool:
    least, most = _SOURCES
    return bool(_SOURCE.search(seen.name)) and least <= seen.distinct <= most


def _is_text(seen: Seen) -> bool:
    if seen.logical != "string" or not seen.filled:
        return False
    is_wordy = seen.words >= _TEXT_WORDS * seen.filled
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
            notes.append(f"'{item['column']}' is ignored: {item['evidence']}")
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
    return Contract(
        "proposal", "1", "contract.yaml", "0" * 64, tuple(map(privacy.column_of, proposals))
    )


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
