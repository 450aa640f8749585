"""`assay diff`: what changed between two runs, and why."""

import argparse
import json
import sys

from pipelines import config
from pipelines.store.store import Store
from provenance.base.errors import AssayError
from provenance.base.ordinals import MOST

LISTED, LISTED_AS_TEXT = 100, 10


def main(arguments: argparse.Namespace) -> int:
    """Print the comparison; the exit code is 0 even if the runs differ."""
    store = Store(config.store_folder(arguments.store))
    store.require()
    limit = arguments.limit
    if limit is None:
        limit = LISTED if arguments.json else LISTED_AS_TEXT
    if not 0 <= limit <= MOST:
        raise AssayError(
            "C012",
            "--limit must be a number of rows",
            fix=f"give a number from 0 (all rows) to {MOST}",
        )
    from pipelines.diff import compare, text

    facts = compare.compare(store, arguments.run_a, arguments.run_b, limit)
    sys.stdout.write(json.dumps(facts) + "\n" if arguments.json else text.text(facts))
    return 0
