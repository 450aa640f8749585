"""Where runs lie, and what holds: commit, keys, trust, history."""
