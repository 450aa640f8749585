"""One run, from a contract and a source to a committed run; start reading at `run.py`."""
