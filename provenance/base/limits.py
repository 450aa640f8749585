"""Limits on the size, compression ratio and width of a source. A contract sets them by name."""

import dataclasses
import difflib
from collections.abc import Mapping
from typing import Any

from provenance.base.errors import AssayError

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30


@dataclasses.dataclass(frozen=True, slots=True)
class Limits:
    """Upper limits for one source; all are positive integers.

    Attributes:
        max_bytes: size of one file on disk.
        max_unpacked_bytes: size of one file, unpacked or decoded.
        max_ratio: unpacked to packed size, enforced from `RATIO_FLOOR` unpacked bytes on.
        max_rows: rows of one file.
        max_columns: columns of one file.
        max_field_bytes: size of one text cell; a row with a larger cell is quarantined.
        max_row_bytes: size of one row of text; a file with a larger row is refused.
        max_lines_per_row: lines that the quoted cells of one row may span.
        max_depth: levels of lists and objects in one cell.
        max_items: values in all the lists and objects of one cell.
    """

    max_bytes: int = 64 * GIB
    max_unpacked_bytes: int = 64 * GIB
    max_ratio: int = 200
    max_rows: int = 4_000_000_000
    max_columns: int = 4096
    max_field_bytes: int = MIB
    max_row_bytes: int = 16 * MIB
    max_lines_per_row: int = 1000
    max_depth: int = 32
    max_items: int = 1_000_000

    def refuse_size(self, size: int, where: str) -> None:
        """Refuse a file, or stop a copy, of more than `max_bytes` (ASSAY-I006)."""
        if size > self.max_bytes:
            what = f"{size:,} bytes exceed the limit of {self.max_bytes:,} bytes"
            raise AssayError("I006", what, where=where, fix="raise assay.limits.max_bytes")

    @staticmethod
    def of(given: Mapping[str, Any]) -> "Limits":
        """Build limits from a contract's `assay.limits`.

        Raises:
            AssayError: ASSAY-C004 for an unknown key, ASSAY-C005 for a value that is not a
                positive integer.
        """
        names = [field.name for field in dataclasses.fields(Limits)]
        for key, value in given.items():
            if key not in names:
                near = difflib.get_close_matches(str(key), names, 1, 0.0)
                fix = f"did you mean {near[0]}?"
                raise AssayError("C004", f"unknown limit {key!r}", where="assay.limits", fix=fix)
            if type(value) is not int or value < 1:
                what = f"{key} must be a positive integer"
                raise AssayError("C005", what, where=f"assay.limits.{key}")
        return Limits(**given)


RATIO_FLOOR = 64 * MIB  # less than this is cheap to unpack at any ratio
