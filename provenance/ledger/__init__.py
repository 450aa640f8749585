"""The signed history: entries, keys, proofs, verification and lineage."""
