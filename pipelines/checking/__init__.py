"""The map over shards: checks on an engine, their states, resume."""
