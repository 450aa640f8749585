"""Importing this module imports Great Expectations, without libraries that no rule of Assay needs.

The library imports drawing, statistics and cloud libraries at its own start, for parts that a rule
of a contract may never reach: more than a quarter of the time it takes. Here they are imported when
first used, and the clouds not at all. What is listed is what the pinned version imports: see
docs/adr/0003.
"""

from checks.rules import duck_engine
from provenance.base import postponed

LATER = {"great_expectations": ("altair", "scipy.stats")}
# the library goes on without them, as where they are not installed
ABSENT = {"great_expectations": ("boto3", "botocore")}

duck_engine.silence()
postponed.install(LATER, absent=ABSENT)
import great_expectations  # noqa: E402
import great_expectations.render.renderer.page_renderer  # noqa: E402, F401
