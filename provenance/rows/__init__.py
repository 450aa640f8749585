"""Typed rows, their digests, and the shards they lie in."""
