"""`assay nightly`: serve `assay run` on a cron until it is interrupted."""

import argparse
import sys
from pathlib import Path

from pipelines import config
from pipelines.commands.run import request_of
from pipelines.run.request import prepare
from provenance.base.errors import AssayError


def main(arguments: argparse.Namespace) -> int:
    """Check the contract and the cron line before the first run is due; then serve."""
    request = request_of(arguments, direct=False)
    contract = prepare(request).contract
    from pipelines.orchestration import nightly

    schedule = nightly.parse_cron(arguments.cron)
    words = ["run", str(request.contract.absolute()), "--engine", request.engine]
    given = {"--source": arguments.source, "--reference": request.reference}
    for option, path in given.items():
        words += [option, str(Path(path).absolute())] if path else []
    words += ["--store", str(config.store_folder(arguments.store).absolute())]
    words += ["--dask-address", request.dask_address] if request.dask_address else []
    words += ["--fail-on", request.fail_on] if request.fail_on else []
    words += ["--share", request.share] if request.share else []
    if arguments.json:
        what = "a served deployment has no result to print as JSON"
        raise AssayError("C012", what, fix="omit --json; `assay ledger log --json` lists runs")
    nightly.serve(words, schedule, name=contract.name, debug=request.debug)
    sys.stderr.write("stopped serving\n")
    return 0
