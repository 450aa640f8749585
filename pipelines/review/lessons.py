"""What decisions teach about the rules that accuse the rows of a run under review."""

from collections.abc import Mapping

from pipelines.learning import in_force, summary
from pipelines.learning.precision import Precision
from pipelines.review.reviewed_run import ReviewedRun


def of(run: ReviewedRun) -> Mapping[str, Precision]:
    """Return the precision of each reviewed rule of a run's dataset, with proposed thresholds.

    Raises:
        AssayError: ASSAY-L011 if a file of a run that was reviewed is not as recorded.
    """
    return summary.advised(run.store, in_force.of(run.history, run.contract), run.contract)
