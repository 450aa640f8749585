"""Typed rows, their digests, and the shards that hold them."""
