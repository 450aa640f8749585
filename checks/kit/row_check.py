"""Checks that judge each row by itself, and so learn nothing from the others."""

from checks.kit.protocol import Check, Model
from provenance.rows.shards import Shard


class RowCheck(Check[None, Model]):
    """Base of a check without a state: what remains to be written is `score`."""

    def fit(self, shard: Shard) -> None:
        """Keep nothing: a row is judged by itself."""

    def merge(self, left: None, right: None) -> None:
        """Keep nothing."""

    def finish(self, state: None) -> Model:  # noqa: ARG002
        """Return an empty model."""
        return Model()
