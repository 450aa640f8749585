"""Effect sizes between a column's counts and the reference's, with the noise of chance taken off.

The noise is what two samples of these sizes from one distribution give: the expected value of the
statistic and `NOISE` standard deviations. So a small night does not alarm, and a large one alarms
for what matters only.
"""

import dataclasses
import math
from statistics import NormalDist

import numpy as np

from checks.drift.bins import Bins
from checks.kit import findings

NOISE = 4.0  # standard deviations that are put down to chance
LEAST_ROWS = 20
SHIFT_ERROR = 1.03  # standard error of a shift by rank, of one row
# effect -> (warning, error); what each means stands in its function
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


@dataclasses.dataclass(frozen=True, slots=True)
class Effect:
    """One measured difference: noise is what chance alone gives, already taken off `size`."""

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


def measure(bins: Bins, counts: np.ndarray, *, is_label: bool) -> list[Effect]:
    """Return every effect of a column, whatever its size; none if there are too few rows."""
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
    text = f"missing in {shares[1]:.1%} of the rows, {shares[0]:.1%} in the reference"
    return Effect("missing", float(abs(shares[1] - shares[0]) - noise), text)


def _mix(bins: Bins, counts: np.ndarray, name: str) -> list[Effect]:
    """Compare shares of categories: total variation, and what the reference never held."""
    before, after = bins.reference[: bins.size + 1], counts[: bins.size + 1]
    first, second = before / before.sum(), after / after.sum()
    distance = 0.5 * float(np.abs(first - second).sum())
    pooled = (before + after) / (before.sum() + after.sum())
    variance = pooled * (1 - pooled) * (1 / before.sum() + 1 / after.sum())
    expected = 0.5 * float(np.sqrt(2 * variance / math.pi).sum())
    spread = 0.5 * math.sqrt(float(variance.sum()))
    apart = _shannon(first, second)
    text = f"{distance:.1%} of the rows moved between categories (Jensen-Shannon {apart:.3f})"
    found = [Effect(name, distance - expected - NOISE * spread, text)]
    seldom = NOISE * math.sqrt(max(float(second[-1]), 1 / after.sum()) / after.sum())
    text = f"{second[-1]:.1%} of the rows hold a category that the reference has in {first[-1]:.1%}"
    # categories seen once in the reference tell how many it has not seen yet (Good, Turing)
    unseen = float((before[:-1] == 1).sum() / before.sum())
    return [*found, Effect("new", float(second[-1] - first[-1]) - unseen - seldom, text)]


def _distances(bins: Bins, counts: np.ndarray) -> list[Effect]:
    """Compare numbers: PSI on about ten bins, KS on all, shift in standard deviations."""
    before, after = bins.reference[: bins.size], counts[: bins.size]
    if bins.size < 2 or not after.sum():  # noqa: PLR2004
        return []
    ends = [np.cumsum(side) / side.sum() for side in (before, after)]
    scale = 1 / before.sum() + 1 / after.sum()
    ks = float(np.abs(ends[0] - ends[1]).max())
    shift = shift_of(before, after)
    psi, cells = _psi(before, after, ends[0])
    chance = (cells - 1) * scale + NOISE * math.sqrt(2 * (cells - 1)) * scale
    return [
        Effect("psi", psi - chance, f"PSI {psi:.3f}"),
        Effect("ks", ks - (0.87 + NOISE * 0.26) * math.sqrt(scale), f"Kolmogorov-Smirnov {ks:.3f}"),
        Effect(
            "shift",
            abs(shift) - NOISE * SHIFT_ERROR * math.sqrt(scale),
            f"shifted by {shift:+.2f} standard deviations (by rank)",
        ),
        *_moved(bins, ends, scale),
    ]


def _moved(bins: Bins, ends: list[np.ndarray], scale: float) -> list[Effect]:
    """Return how far the rows moved on average, in standard deviations, between the end bins.

    The expected size and spread are those of a Brownian bridge, each width counted in full.
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
    """Return how far counts moved along the bins, in standard deviations, by rank."""
    middle = (np.cumsum(before) - 0.5 * before) / before.sum()
    return math.sqrt(2) * _quantile(float((middle * after).sum() / after.sum()))


def _psi(before: np.ndarray, after: np.ndarray, ends: np.ndarray) -> tuple[float, int]:
    group = np.minimum((ends - 1e-12) * 10, 9).astype(int)
    group = np.unique(group, return_inverse=True)[1]
    pair = [np.bincount(group, side) + 0.5 for side in (before, after)]
    first, second = pair[0] / pair[0].sum(), pair[1] / pair[1].sum()
    return float(((second - first) * np.log(second / first)).sum()), len(first)


def _words(counts: np.ndarray) -> Effect:
    known, words = int(counts[-2]), int(counts[-1])
    share = 1 - known / max(words, 1)
    noise = NOISE * math.sqrt(max(share, 1 / max(words, 1)) / max(words, 1))
    return Effect("words", share - noise, f"{share:.1%} of the words are not in the reference")


def _shannon(first: np.ndarray, second: np.ndarray) -> float:
    middle = (first + second) / 2
    total = 0.0
    for side in (first, second):
        some = side > 0
        total += 0.5 * float((side[some] * np.log2(side[some] / middle[some])).sum())
    return total


def _quantile(share: float) -> float:
    return NormalDist().inv_cdf(min(max(share, 1e-6), 1 - 1e-6))
