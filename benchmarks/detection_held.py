"""What the outlier check holds of generated rows; see `detection.py outliers --seeds N`.

Joint outliers of two kinds are planted in honest loans of 20 columns, among 20,000 rows and among
50,000, and none for the false alarms. Prints recall, the share of other rows that are held, and of
all held the share that is honest beside the share that the check allows (`alpha`).
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.compute as pc

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import detection  # noqa: E402
import faults  # noqa: E402
import generate  # noqa: E402

CASES = ((50_000, 0.0), (50_000, 0.003), (20_000, 0.003), (20_000, 0.001))


class Held(NamedTuple):
    """One table: share of the planted rows held, of the others, and of the held that are honest."""

    recall: float
    alarms: float
    honest: float


def judged(rows: int, share: float, seed: int) -> Held:
    """Plant, run the check itself, compare."""
    from checks.outliers import Outliers

    table, planted = generate.wide(rows, seed).table, np.zeros(0, int)
    if share:
        made = faults.plant_joint_outliers(table, share=share, seed=seed)
        table, planted = made.table, np.asarray(made.rows)
    table = table.drop_columns(["loan_id"])  # a key is no feature
    given = {"label": "defaulted", "texts": ("note", "remark"), "seed": seed}
    found, _, _ = detection.judge(Outliers, table, **given)
    held = np.unique(found.filter(pc.equal(found["severity"], "error"))["row"].to_numpy())
    right = np.isin(held, planted).sum()
    return Held(
        right / max(len(planted), 1),
        (len(held) - right) / (rows - len(planted)),
        (len(held) - right) / max(len(held), 1),
    )


def measure(seeds: int) -> Iterator[str]:
    """Yield one line a case: medians over seeds, and the worst."""
    for rows, share in CASES:
        seen = np.array([judged(rows, share, seed) for seed in range(seeds)])
        middle = np.median(seen, axis=0)
        worst = Held(seen[:, 0].min(), *seen[:, 1:].max(axis=0))
        yield (
            f"held of {rows:,} loans, {share:.1%} joint outliers: recall {middle[0]:.3f} (worst "
            f"{worst.recall:.3f}), other rows held {middle[1]:.5f} ({worst.alarms:.5f}), honest "
            f"share of the held {middle[2]:.3f} ({worst.honest:.3f}), allowed 0.100"
        )
