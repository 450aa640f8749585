"""The signed history: entries, keys, proofs, verification, lineage."""
