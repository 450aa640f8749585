"""The contract language: from YAML to a checked contract."""
