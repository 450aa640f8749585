"""Labels judged by a user's own out-of-fold chances (role `probabilities`) in place of a model."""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import class_chances, noise_channel, vectors
from checks.kit.contract_model import Contract
from checks.kit.wording import percent

EVEN = 0.9  # weight, for ranking, of errors that turn into any class alike
TIMES = 1 / 0.3  # times the chance that a label is correct: what the chances' own errors add to it
LEAST = 1e-6
ZERO = 1e-9  # a chance below it is 0 but for rounding
JUDGED = 0.5  # of a row's chances must be of classes that are judged
# the highest chances by which overconfidence is measured: above them, a wrong label looks like it
BETWEEN = (0.5, 0.99)
OVERCONFIDENT = 0.08  # by which these may exceed the share of labels that they predict
ENOUGH = 30  # rows between


@dataclasses.dataclass(frozen=True, slots=True)
class Given:
    """Reads the chances of rows; it stands where `cross_fit.Crossfit` does.

    Attributes:
        column: of lists, see `vectors.lists`.
        size: number of chances in a list.
        places: of the judged classes, int64.
        least: what stands for a chance of 0: the model that gave it cannot tell it from this.
    """

    column: str
    size: int
    places: np.ndarray
    least: float = LEAST

    def judges(self, table: pa.Table, _folds: np.ndarray, _given: np.ndarray) -> np.ndarray:
        """Return which rows have chances, most of them of judged classes: bool, shape (n,)."""
        with np.errstate(invalid="ignore"):
            made: np.ndarray = np.asarray(self._read(table).sum(1) >= JUDGED)
        return made

    def judged(
        self, table: pa.Table, folds: np.ndarray, given: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return what `judges` returns, and what `predict` returns for those rows."""
        known = self.judges(table, folds, given)
        return known, self.predict(table, folds)[known]

    def predict(self, table: pa.Table, _folds: np.ndarray) -> np.ndarray:
        """Return the chances of the judged classes, shape (n, classes), NaN without any."""
        made: np.ndarray = np.maximum(self._read(table), self.least)
        return made

    def _read(self, table: pa.Table) -> np.ndarray:
        chances, _ = class_chances.read(table[self.column], self.size)
        found: np.ndarray = chances[:, self.places]
        return found


def of(
    contract: Contract, table: pa.Table, values: frozenset[object], judged: tuple[str, ...]
) -> Given | str:
    """Return what reads the chances, or why they cannot judge.

    Args:
        contract: with a label and a column of the role `probabilities`.
        table: the sample.
        values: that the label has in all rows.
        judged: classes.
    """
    column = contract.used("probabilities")[0]
    size = vectors.usual_length(table[column])
    classes = class_chances.classes_of(contract, values)
    chances, _ = class_chances.read(table[column], size)
    known = np.isfinite(chances).all(1) & np.asarray(table[contract.label].is_valid())
    if not size or not known.any():
        return "no row has probabilities of the classes"
    names = table[contract.label].filter(pa.array(known)).cast(pa.string())
    pairs = pa.table({"name": names, "at": pa.array(chances[known].argmax(1))})
    counted = pairs.group_by(["name", "at"]).aggregate([([], "count_all")]).to_pylist()
    highest = {(one["name"], one["at"]): one["count_all"] for one in counted}
    if why := class_chances.misfit(classes, size, highest):
        return why
    if missing := [name for name in judged if name not in classes]:
        return f"{len(missing):,} classes of the label have no probability"
    places = np.array([classes.index(name) for name in judged])
    above = chances[known]
    has_zeros = bool((above < ZERO).any())
    least = float(above[above >= ZERO].min()) / 2 if has_zeros else LEAST
    return Given(column, size, places, max(least, LEAST))


def overconfidence(chances: np.ndarray, given: np.ndarray) -> str:
    """Return how overconfident the chances are, if a wrong label cannot be told from it; else "".

    A model that errs where it is sure contradicts labels that are right. This shows where it is
    less sure too: there, its highest chance exceeds the share of labels that it predicts, by more
    than a few wrong labels explain.

    Args:
        chances: shape (n, classes), rows sum to 1.
        given: codes of the labels, int64, shape (n,).
    """
    highest = chances.max(1)
    is_between = (highest >= BETWEEN[0]) & (highest < BETWEEN[1])
    if is_between.sum() < ENOUGH:
        return ""
    stated = float(highest[is_between].mean())
    true = float((chances.argmax(1) == given)[is_between].mean())
    if stated - true <= OVERCONFIDENT:
        return ""
    return (
        f"the given probabilities are overconfident: where the highest is between "
        f"{BETWEEN[0]:.0%} and {BETWEEN[1]:.0%}, it averages {percent(stated)}, but only "
        f"{percent(true)} of the labels agree"
    )


def ranking(likely: noise_channel.Channel) -> noise_channel.Channel:
    """Return the channel by which labels are ranked.

    The estimate of which classes are confused comes from rows where classes overlap, and would rank
    these rows before plain errors. So for ranking, most errors turn into any class alike.
    """
    classes = len(likely.wrong)
    even = (1 - np.eye(classes)) / (classes - 1)
    return dataclasses.replace(
        likely,
        wrong=(1 - EVEN) * likely.wrong + EVEN * even,
        rates=np.full(classes, likely.rates.mean() + noise_channel.NONE),
    )
