"""Effect sizes between a column's counts and the reference's, less the noise of chance.

The noise is what two samples of these sizes from one distribution would show: the expected value of
the statistic plus `NOISE` standard deviations. So a small dataset raises no alarm by chance, and a
large one only for effects that matter.
"""

import dataclasses
import math
from statistics import NormalDist

import numpy as np

from checks.drift.bins import Bins
from checks.kit import findings
from checks.kit.wording import percent

NOISE = 4.0  # standard deviations that are put down to chance
LEAST_ROWS = 20
SHIFT_ERROR = 1.03  # standard error of a shift by rank, of one row
# effect -> (warning, error); each function below says what its effect measures
LIMITS = {
    "psi": (0.1, 0.2),
    "ks": (0.08, 0.15),
    "shift": (0.15, 0.3),
    "mix": (0.05, 0.10),
    "label": (0.025, 0.05),
    "missing": (0.02, 0.05),
    "new": (0.005, 0.02),
    "words": (0.05, 0.10),
    "wasserstein": (0.15, 0.3),
    "relation": (0.05, 0.10),
    "domain": (0.05, 0.10),
}
SHARES = ("mix", "label", "missing", "new", "words", "relation")  # shown in points


@dataclasses.dataclass(frozen=True, slots=True)
class Effect:
    """One measured difference; `size` is what exceeds the noise of chance, `text` the statistic."""

    name: str
    size: float
    text: str

    @property
    def severity(self) -> findings.Severity | None:
        """Return the severity, None below the smallest that matters."""
        warning, error = LIMITS[self.name]
        if self.size >= error:
            return "error"
        return "warning" if self.size >= warning else None

    def worded(self) -> str:
        """Return the statistic, how far it exceeds chance, and the limit that it breaks."""
        limit = LIMITS[self.name][self.severity == "error"]
        if self.name in SHARES:
            beyond = f"{100 * self.size:.1f} percentage points more than chance explains"
            beyond += f", limit {100 * limit:g}"
        else:
            beyond = f"{self.size:.2f} more than chance explains, limit {limit:g}"
        return f"{self.text} ({beyond})"


def measure(bins: Bins, counts: np.ndarray, *, is_label: bool) -> list[Effect]:
    """Return every effect of a column, of any size; none if there are too few rows."""
    if counts[: bins.size + 2].sum() < LEAST_ROWS or not bins.reference[: bins.size + 2].sum():
        return []
    found = [_missing(bins, counts)]
    if min(counts[: bins.size + 1].sum(), bins.reference[: bins.size].sum()) >= LEAST_ROWS:
        if bins.kind == "category":
            found += _mix(bins, counts, "label" if is_label else "mix")
        else:
            found += _distances(bins, counts)
        if bins.kind == "text":
            found.append(_words(counts))
    return found


def _missing(bins: Bins, counts: np.ndarray) -> Effect:
    place = bins.size + 1
    before, after = bins.reference[place], counts[place]
    rows = bins.reference[: place + 1].sum(), counts[: place + 1].sum()
    shares = before / rows[0], after / rows[1]
    pooled = (before + after) / sum(rows)
    noise = NOISE * math.sqrt(pooled * (1 - pooled) * (1 / rows[0] + 1 / rows[1]))
    text = f"missing in {percent(shares[1])} of the rows, {percent(shares[0])} in the reference"
    return Effect("missing", float(abs(shares[1] - shares[0]) - noise), text)


def _mix(bins: Bins, counts: np.ndarray, name: str) -> list[Effect]:
    """Compare shares of categories: total variation, and categories new to the reference."""
    before, after = bins.reference[: bins.size + 1], counts[: bins.size + 1]
    first, second = before / before.sum(), after / after.sum()
    distance = 0.5 * float(np.abs(first - second).sum())
    pooled = (before + after) / (before.sum() + after.sum())
    variance = pooled * (1 - pooled) * (1 / before.sum() + 1 / after.sum())
    expected = 0.5 * float(np.sqrt(2 * variance / math.pi).sum())
    spread = 0.5 * math.sqrt(float(variance.sum()))
    apart = _shannon(first, second)
    text = f"{percent(distance)} of the rows moved between categories, Jensen-Shannon {apart:.3f}"
    found = [Effect(name, distance - expected - NOISE * spread, text)]
    seldom = NOISE * math.sqrt(max(float(second[-1]), 1 / after.sum()) / after.sum())
    text = f"{percent(second[-1])} of the rows hold a category that the reference lacks"
    if before[-1]:
        text = (
            f"{percent(second[-1])} of the rows hold a category outside the reference's "
            f"{bins.size} most frequent ones, {percent(first[-1])} in the reference"
        )
    # categories that occur once in the reference estimate how many it lacks (Good, Turing)
    unseen = float((before[:-1] == 1).sum() / before.sum())
    return [*found, Effect("new", float(second[-1] - first[-1]) - unseen - seldom, text)]


def _distances(bins: Bins, counts: np.ndarray) -> list[Effect]:
    """Compare numbers: PSI over about ten bins, KS over all, shift in standard deviations."""
    before, after = bins.reference[: bins.size], counts[: bins.size]
    if bins.size < 2 or not after.sum():  # noqa: PLR2004
        return []
    ends = [np.cumsum(counted) / counted.sum() for counted in (before, after)]
    scale = 1 / before.sum() + 1 / after.sum()
    ks = float(np.abs(ends[0] - ends[1]).max())
    shift = shift_of(before, after)
    psi, cells = _psi(before, after, ends[0])
    chance = (cells - 1) * scale + NOISE * math.sqrt(2 * (cells - 1)) * scale
    return [
        Effect("psi", psi - chance, f"PSI {max(psi, 0.0):.3f}"),
        Effect("ks", ks - (0.87 + NOISE * 0.26) * math.sqrt(scale), f"Kolmogorov-Smirnov {ks:.3f}"),
        Effect(
            "shift",
            abs(shift) - NOISE * SHIFT_ERROR * math.sqrt(scale),
            f"shifted by {shift:+.2f} standard deviations by rank",
        ),
        *_moved(bins, ends, scale),
    ]


def _moved(bins: Bins, ends: list[np.ndarray], scale: float) -> list[Effect]:
    """Return how far the rows moved on average between the end bins, in standard deviations.

    Expected size and spread are those of a Brownian bridge, counting each width in full.
    """
    if not bins.widths.sum():
        return []
    distance = float((np.abs(ends[0] - ends[1])[:-1] * bins.widths).sum())
    middle = (ends[0] + ends[1])[:-1] / 2
    chance = float((np.sqrt(middle * (1 - middle) * scale) * bins.widths).sum())
    noise = (0.8 + 0.6 * NOISE) * chance
    return [
        Effect("wasserstein", distance - noise, f"Wasserstein {distance:.2f} standard deviations")
    ]


def shift_of(before: np.ndarray, after: np.ndarray) -> float:
    """Return how far counts moved along the bins, in standard deviations by rank."""
    middle = (np.cumsum(before) - 0.5 * before) / before.sum()
    return math.sqrt(2) * _quantile(float((middle * after).sum() / after.sum()))


def _psi(before: np.ndarray, after: np.ndarray, ends: np.ndarray) -> tuple[float, int]:
    group = np.minimum((ends - 1e-12) * 10, 9).astype(int)
    group = np.unique(group, return_inverse=True)[1]
    pair = [np.bincount(group, counted) + 0.5 for counted in (before, after)]
    first, second = pair[0] / pair[0].sum(), pair[1] / pair[1].sum()
    return float(((second - first) * np.log(second / first)).sum()), len(first)


def _words(counts: np.ndarray) -> Effect:
    known, words = int(counts[-2]), int(counts[-1])
    share = 1 - known / max(words, 1)
    noise = NOISE * math.sqrt(max(share, 1 / max(words, 1)) / max(words, 1))
    return Effect(
        "words", share - noise, f"{percent(share)} of the words do not occur in the reference"
    )


def _shannon(first: np.ndarray, second: np.ndarray) -> float:
    middle = (first + second) / 2
    total = 0.0
    for shares in (first, second):
        some = shares > 0
        total += 0.5 * float((shares[some] * np.log2(shares[some] / middle[some])).sum())
    return max(total, 0.0)  # rounding may leave a negative zero


def _quantile(share: float) -> float:
    return NormalDist().inv_cdf(min(max(share, 1e-6), 1 - 1e-6))
