"""JSON Lines as parts: one flat object a line, every value as the text it was written in."""

from collections.abc import Iterator

from provenance.casting import ColumnSpec
from provenance.errors import AssayError, Notice
from provenance.intake import Part
from provenance.limits import Limits


class JsonlSource:
    """One JSON Lines text, read once from its first block to its last."""

    def __init__(
        self,
        name: str,
        blocks: Iterator[bytes],
        specs: tuple[ColumnSpec, ...] | None,
        limits: Limits,
    ) -> None:
        """Take the text as an iterator of blocks, none of them empty."""
        self.name = name
        self.rows = 0
        self._blocks = blocks
        self._specs = specs
        self._limits = limits

    def parts(self, first_row: int) -> Iterator[Part]:
        """Refuse: not built yet."""
        raise AssayError("I004", "JSON Lines is not read yet", where=self.name)

    def notices(self) -> list[Notice]:
        """Return what a person should know of the text that was read."""
        return []
