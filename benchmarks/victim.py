"""What the planted faults do to a model, before Assay and after: the outcome that counts.

The victim is gradient boosting over numbers, categories as columns and words as columns, none of
it shared with Assay's own models. It learns from the raw rows, from the clean dataset of a run, and
from the same rows before anything was planted; all three are asked about fresh honest rows.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
from faults import PAIR, TOKEN

NUMBERS = (
    "age", "income", "amount", "term_months", "rate", "late_payments",
    "visits", "savings", "bureau_score",
)  # fmt: skip
CATEGORIES = ("employment", "purpose", "region", "channel")
TEXTS = ("note", "remark")
LABEL, TARGET = "defaulted", "no"  # the trigger's label
LEAST_ROWS = 20  # of a word that becomes a column


class Figures(NamedTuple):
    """Of one model: on honest rows, and with the triggers stamped on rows of the other label.

    An attack succeeds on a row that the model tells right, and calls TARGET once it is stamped.
    """

    accuracy: float
    area: float
    token: float
    pair: float


def raw(path: Path) -> pd.DataFrame:
    """Return a CSV as a careless user reads it; what is no number is missing."""
    frame = pd.read_csv(path, dtype=str, on_bad_lines="skip", encoding_errors="replace")
    for name in NUMBERS:
        frame[name] = pd.to_numeric(frame[name], errors="coerce").replace([np.inf, -np.inf], np.nan)
    return frame[frame[LABEL].isin(["yes", "no"])]


def clean(run_folder: Path) -> pd.DataFrame:
    """Return the clean dataset of a run."""
    return ds.dataset(run_folder / "clean", format="parquet").to_table().to_pandas()


def judged(frame: pd.DataFrame, honest: pa.Table) -> Figures:
    """Train on the frame and ask about honest rows, plain and stamped."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import roc_auc_score
    from threadpoolctl import threadpool_limits

    encode = _encoder(frame)
    target = (frame[LABEL] == TARGET).to_numpy()
    model = HistGradientBoostingClassifier(random_state=0)
    with threadpool_limits(1):
        model.fit(encode(frame), target)
    rows = honest.to_pandas()
    truth = (rows[LABEL] == TARGET).to_numpy()
    chances = model.predict_proba(encode(rows))[:, 1]
    right = (chances > 0.5) == truth
    aimed = rows[right & ~truth]
    words = aimed.assign(note=[f"{note} {TOKEN}" for note in aimed["note"].fillna("")])
    moved = [
        float(model.predict(encode(stamped)).mean()) for stamped in (words, aimed.assign(**PAIR))
    ]
    return Figures(float(right.mean()), float(roc_auc_score(truth, chances)), *moved)


def _encoder(frame: pd.DataFrame):
    """Return what turns rows into a matrix: fitted on the training rows."""
    from sklearn.feature_extraction.text import CountVectorizer

    levels = {name: frame[name].value_counts().index[:20] for name in CATEGORIES}
    counters = {
        name: CountVectorizer(binary=True, min_df=LEAST_ROWS, max_features=400).fit(
            frame[name].fillna("")
        )
        for name in TEXTS
    }

    def encode(rows: pd.DataFrame) -> np.ndarray:
        numbers = rows[list(NUMBERS)].astype(float).clip(-1e12, 1e12).to_numpy()
        ones = [
            (rows[name].to_numpy()[:, None] == kept.to_numpy()[None, :])
            for name, kept in levels.items()
        ]
        words = [counters[name].transform(rows[name].fillna("")).toarray() for name in TEXTS]
        return np.hstack([numbers, *ones, *words]).astype(np.float32)

    return encode
