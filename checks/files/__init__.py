"""Files beside the table (role `file`): there, whole, of the type that they are named for.

Threat: degradation by a broken copy or export of images and documents; escape from the folder by a
path or a link. State: 40 bytes a row up to 1,000,000 rows, and the rows with faults.
Cost: two passes; each file is opened once and read once (option `contents: false`: only its ends).
Nulls: a missing path is left to `required`.
Blind to: what the files show; damage in the middle; files that change after the run. Nothing is
decoded. URLs are counted and not looked at.
"""

import dataclasses
from pathlib import Path
from typing import ClassVar

import numpy as np

from checks.files import beside
from checks.kit import findings, hashing
from checks.kit.option_types import Takes
from checks.kit.protocol import Check, Context, Explains, Explanation, Model
from checks.kit.wording import count, percent
from provenance.base.errors import AssayError
from provenance.rows.arrow_bytes import whole
from provenance.rows.shards import Shard

CAP = 1_000_000  # rows whose size and content are compared, those of the lowest digests
MOST_MISSING = 0.5  # of the files; if more are, the folder is another one
LEAST = 50  # files, to say which size is unusual
FAR, SPREADS = 5.0, 8.0  # unusual: 32 times the median or a part of it, and so many spreads off
_ADVICE = "copy the file again, or reject the row"
_SAYS = {
    beside.OUTSIDE: ("outside", "the path leads out of the folder of the files"),
    beside.MISSING: ("missing", "there is no file of this name"),
    beside.IRREGULAR: ("irregular", "a link, a folder or a device is there, not a regular file"),
    beside.UNREADABLE: ("unreadable", "the file cannot be read"),
    beside.EMPTY: ("empty", "the file has no bytes"),
    beside.TYPE: ("type", "the file does not hold what its extension says"),
    beside.CUT: ("cut", "the file lacks the end that its type has: it was cut off"),
}
_SIZE = "the file is far smaller or larger than the others"
_COPY = "another row names another file with the same content"
_CONFLICT = f"{_COPY} and has another label"
FACTS = np.dtype(
    [("row", "i8"), ("size", "i8"), ("content", "u8"), ("name", "u8"), ("label", "u8")]
)


@dataclasses.dataclass(frozen=True)
class State:
    """Files of shards, by column.

    Attributes:
        files: number of paths; faults: rows by fault, int64; facts: of whole files, see FACTS.
    """

    files: dict[str, int]
    faults: dict[str, dict[int, np.ndarray]]
    facts: dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Found(Model):
    """Ordinals of the rows by column and rule: (rule, severity, evidence, rows)."""

    rows: dict[str, tuple[tuple[str, str, str, np.ndarray], ...]] = dataclasses.field(
        default_factory=dict
    )


class Files(Check[State, Found]):
    """Find rows whose file is missing, damaged, or not what it is named for."""

    name: ClassVar[str] = "files"
    threats: ClassVar[tuple[str, ...]] = ("drift and degradation", "data poisoning")
    needs: ClassVar[frozenset[str]] = frozenset({"file"})
    takes: ClassVar[Takes] = {"contents": "flag"}
    is_of_role: ClassVar[bool] = True
    explains: ClassVar[Explains] = {
        **{
            f"files.{key}": Explanation(
                ("error",),
                f"In this row, {says}.",
                "The path is opened below the source's folder, or below the folder set by "
                "`assay.files: {root: ...}`, and links are not followed. If more than half of the "
                "files are missing, a single error says so and no row is quarantined for it.",
                f"{_ADVICE.capitalize()}.",
            )
            for key, says in _SAYS.values()
        },
        "files.url": Explanation(
            ("warning",), "Rows name a URL instead of a file.",
            "A name begins like `s3://`. Assay does not look at what URLs name.",
            "Copy the files beside the table, or check them where they are.",
        ),
        "files.size": Explanation(
            ("warning",), "The file is far smaller or larger than the others.",
            "Its size is 32 times the median size or a part of it, and beyond the usual spread.",
            "Open the file: it may be a placeholder or an error page.",
        ),
        "files.copy": Explanation(
            ("warning",), "Another row names another file with the same content.",
            "The SHA-256 of both files is equal, and their names differ.",
            "Keep one of the files, or both in the same fold when you evaluate a model.",
        ),
        "files.conflict": Explanation(
            ("warning",), "Files of the same content have different labels.",
            "The SHA-256 of both files is equal, their names differ, and so do their labels.",
            "Compare the labels with the file; relabel or reject the rows.",
        ),
    }  # fmt: skip

    def __init__(self, context: Context) -> None:
        """Choose the columns and the folder."""
        super().__init__(context)
        self.columns = context.contract.used("file")
        self.label = context.contract.label
        given = context.contract.files_root or context.folder
        self.folder = str(Path(given).resolve()) if given else ""

    def fit(self, shard: Shard) -> State:
        """Look at each file."""
        state = State({}, {}, {})
        for name in self.columns:
            if name in shard.table.column_names and len(shard.rows):
                self._look(shard, name, state)
        return state

    def merge(self, left: State, right: State) -> State:
        """Join what was found."""
        merged = State({}, {}, {})
        for name in left.files.keys() | right.files.keys():
            merged.files[name] = left.files.get(name, 0) + right.files.get(name, 0)
            mine, theirs = left.faults.get(name, {}), right.faults.get(name, {})
            none = np.zeros(0, np.int64)
            merged.faults[name] = {
                fault: np.r_[mine.get(fault, none), theirs.get(fault, none)]
                for fault in mine.keys() | theirs.keys()
            }
            none = np.zeros(0, FACTS)
            both = np.concatenate([left.facts.get(name, none), right.facts.get(name, none)])
            merged.facts[name] = both[np.lexsort((both["row"], both["content"]))][:CAP]
        return merged

    def finish(self, state: State) -> Found:
        """Tell what is missing as a whole, unusual sizes and copies."""
        overall, rows, notes = [findings.empty()], {}, []
        for name, files in sorted(state.files.items()):
            faults, facts = state.faults[name], np.sort(state.facts[name], order="row")
            size = int(facts["size"].sum())
            notes.append(f"'{name}': {count(files, 'path')}, {size:,} bytes in whole files")
            if urls := len(faults.get(beside.URL, ())):
                says = f"{count(urls, 'row')} of {files:,} name a URL, which is not looked at"
                overall.append(self._overall(name, "url", says, "warning"))
            missing = len(faults.get(beside.MISSING, ()))
            is_elsewhere = missing > MOST_MISSING * files
            if is_elsewhere:
                says = f"{percent(missing / files)} of {count(files, 'file')} are not below the "
                overall.append(self._overall(name, "missing", f"{says}folder of the files"))
            rows[name] = (
                *(
                    (key, "error", says, np.sort(faults[fault]))
                    for fault, (key, says) in _SAYS.items()
                    if fault in faults and not (is_elsewhere and fault == beside.MISSING)
                ),
                *_compared(facts),
            )
        return Found(findings.concat(overall), tuple(notes), rows=rows)

    def score(self, shard: Shard, model: Found) -> findings.Findings:
        """Report the rows."""
        return findings.concat(
            [
                findings.make(
                    shard.rows[np.isin(shard.rows, rows)],
                    check=self.name, rule=f"files.{key}", column=name, severity=severity,
                    evidence=says, suggestion=_ADVICE if severity == "error" else "open the file",
                )
                for name, found in model.rows.items()
                for key, severity, says, rows in found
            ]
        )  # fmt: skip

    def _look(self, shard: Shard, name: str, state: State) -> None:
        if not self.folder:
            what = "the files of the role `file` lie beside a source that is no local file"
            fix = "name their folder in the contract, `assay.files: {root: ...}`"
            raise AssayError("K003", what, fix=fix)
        cells = whole(shard.table[name])
        named = np.flatnonzero(np.asarray(cells.is_valid()))
        try:
            contents = self.options.get("contents", True)
            with beside.Folder(self.folder, contents=contents).opened() as folder:
                looked = [folder.look(cells[int(at)].as_py()) for at in named]
        except OSError as error:
            what, fix = "the folder of the files cannot be opened", "check assay.files"
            raise AssayError("K003", what, fix=fix) from error
        fault = np.array([one.fault for one in looked], np.int64)
        rows = shard.rows[named]
        state.files[name] = len(named)
        state.faults[name] = {int(n): rows[fault == n] for n in np.unique(fault[fault > 0])}
        facts = np.zeros(len(named), FACTS)
        facts["row"], facts["size"] = rows, [one.size for one in looked]
        facts["content"] = [int.from_bytes(one.sha256[:8], "little") for one in looked]
        facts["name"] = hashing.value_hashes(cells)[named]
        if self.label in shard.table.column_names:
            facts["label"] = hashing.value_hashes(whole(shard.table[self.label]))[named]
        facts = facts[(fault == 0) | (fault == beside.TYPE) | (fault == beside.CUT)]
        state.facts[name] = facts[np.lexsort((facts["row"], facts["content"]))][:CAP]

    def _overall(
        self, column: str, key: str, says: str, severity: str = "error"
    ) -> findings.Findings:
        return findings.make(
            None, check=self.name, rule=f"files.{key}", column=column, severity=severity,
            evidence=says,
            suggestion="name the folder of the files in the contract, `assay.files: {root: ...}`",
        )  # fmt: skip


def _compared(facts: np.ndarray) -> list[tuple[str, str, str, np.ndarray]]:
    """Return the rows of unusual sizes and of copies."""
    found = [("size", "warning", _SIZE, facts["row"][_unusual(facts["size"])])]
    known = facts[facts["content"] != 0]
    order = np.lexsort((known["row"], known["content"]))
    known = known[order]
    _, first, place = np.unique(known["content"], return_index=True, return_inverse=True)
    other_name = known["name"] != known["name"][first][place]
    differs = np.zeros(len(first), bool)
    differs[place[other_name & (known["label"] != known["label"][first][place])]] = True
    is_conflict = differs[place]
    copies = other_name & ~is_conflict
    found.append(("copy", "warning", _COPY, np.sort(known["row"][copies])))
    found.append(("conflict", "warning", _CONFLICT, np.sort(known["row"][is_conflict])))
    return found


def _unusual(sizes: np.ndarray) -> np.ndarray:
    if len(sizes) < LEAST:
        return np.zeros(len(sizes), bool)
    logs = np.log2(np.maximum(sizes, 1))
    middle = np.median(logs)
    off = np.abs(logs - middle)
    made: np.ndarray = off > max(FAR, SPREADS * float(np.median(off)))
    return made
