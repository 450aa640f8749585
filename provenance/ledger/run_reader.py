"""Reads a committed run: its recorded files and nothing else, each held against its digest.

Before the first file is read, the folder is searched once for what no entry records. Then only the
files that a command reads are hashed, and what it reads are the bytes that were hashed.
"""

import contextlib
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from provenance.base.errors import AssayError, Notice
from provenance.ledger import run_files
from provenance.ledger.entry import Entry
from provenance.ledger.run_files import Recorded

if TYPE_CHECKING:
    import pyarrow.compute as pc
    import pyarrow.dataset as ds


class RunReader:
    """The files of one run.

    Attributes:
        folder: of the run.
        seq: number of its entry.
    """

    def __init__(self, folder: Path, entry: Entry) -> None:
        """Take the run's folder and its entry; nothing is read yet."""
        self.folder, self.seq = folder, entry.seq
        outputs = entry.facts["outputs"]
        self._recorded: Mapping[str, Recorded] = {str(file["name"]): file for file in outputs}
        self._is_searched = False

    def names(self, part: str) -> list[str]:
        """Return the recorded files of a folder of the run such as `clean`, in order."""
        return sorted(name for name in self._recorded if name.startswith(f"{part}/"))

    def is_there(self) -> bool:
        """Return whether the run's folder is there at all."""
        return self.folder.is_dir() or self.folder.is_symlink()

    def faults(self) -> list[Notice]:
        """Return whatever is not as recorded."""
        return run_files.faults(self.folder, self.seq, list(self._recorded.values()))

    def require(self, *parts: str) -> None:
        """Hash files before anything is read: those whose names begin so, by default all.

        Raises:
            AssayError: ASSAY-L011 for the first thing that is not as recorded.
        """
        self._search_once()
        for name in sorted(self._recorded):
            if not parts or name.startswith(parts):
                fault = run_files.fault_of(self.folder, self.seq, self._recorded[name])
                if fault:
                    raise run_files.broken(fault.message, Path(fault.where))

    @contextlib.contextmanager
    def opened(self, name: str) -> Iterator[pa.NativeFile]:
        """Open a file of the run for reading in any order; errors as of `read`."""
        self._search_once()
        with run_files.verified(self.folder, self.seq, self._record(name)) as file:
            yield _as_arrow(file)

    def read(self, name: str) -> bytes:
        """Return the content of a file of the run.

        Raises:
            AssayError: ASSAY-L011 if it is not as recorded, or the folder holds anything else.
        """
        self._search_once()
        return run_files.read(self.folder, self.seq, self._record(name))

    def table(self, name: str, columns: list[str] | None = None) -> pa.Table:
        """Return a Parquet file of the run, all columns or the named ones; errors as of `read`."""
        with self.opened(name) as source:
            return pq.ParquetFile(source, page_checksum_verification=True).read(columns=columns)

    def tables(self, part: str, columns: list[str] | None = None) -> Iterator[pa.Table]:
        """Yield the tables of a folder of the run, in order; errors as of `read`."""
        for name in self.names(part):
            yield self.table(name, columns)

    def schema(self, name: str) -> pa.Schema:
        """Return the columns of a Parquet file of the run; errors as of `read`."""
        with self.opened(name) as source:
            return pq.read_schema(source)

    def matching(
        self, part: str, wanted: "pc.Expression", columns: list[str] | None = None
    ) -> list[dict[str, Any]]:
        """Return the rows of a folder's tables that an expression holds for; errors as of `read`.

        One file is in memory at a time.
        """
        found: list[dict[str, Any]] = []
        for name in self.names(part):
            with self.opened(name) as source:
                fragment = _parquet().make_fragment(source)
                found += fragment.to_table(filter=wanted, columns=columns).to_pylist()
        return found

    def dataset(
        self, part: str, stack: contextlib.ExitStack, schema: pa.Schema | None = None
    ) -> "ds.Dataset":
        """Return a folder of the run for engines that read in any order, until the stack closes.

        Args:
            part: of the run, such as `findings`.
            stack: keeps the files open.
            schema: the columns, for a folder that may be empty.
        """
        import pyarrow.dataset as ds

        names, form = self.names(part), _parquet()
        sources = [stack.enter_context(self.opened(name)) for name in names]
        fragments = [form.make_fragment(source) for source in sources]
        columns = schema or self.schema(names[0])
        return ds.FileSystemDataset(fragments, columns, form)

    def _search_once(self) -> None:
        if not self._is_searched:
            recorded = list(self._recorded.values())
            for notice in run_files.strangers(self.folder, self.seq, recorded)[:1]:
                raise run_files.broken(notice.message, Path(notice.where))
            self._is_searched = True

    def _record(self, name: str) -> Recorded:
        if name not in self._recorded:
            what = f"run {self.seq} recorded no {name}"
            raise AssayError("L011", what, where=str(self.folder / name))
        return self._recorded[name]


def _as_arrow(file: io.BufferedReader | io.BytesIO) -> pa.NativeFile:
    if isinstance(file, io.BytesIO):
        return pa.BufferReader(file.getbuffer())
    return pa.PythonFile(file, mode="r")


def _parquet() -> "ds.ParquetFileFormat":
    import pyarrow.dataset as ds

    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    return ds.ParquetFileFormat(default_fragment_scan_options=options)
