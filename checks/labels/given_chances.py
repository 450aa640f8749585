"""Labels judged by a user's own out-of-fold chances (role `probabilities`) in place of a model."""

import dataclasses

import numpy as np
import pyarrow as pa

from checks.kit import class_chances, noise_channel, vectors
from checks.kit.contract_model import Contract

EVEN = 0.9  # weight, for ranking, of errors that turn into any class alike
TIMES = 1 / 0.3  # times the chance that a label is correct: what the chances' own errors add to it
LEAST = 1e-6
ZERO = 1e-9  # a chance below it is 0 but for rounding
JUDGED = 0.5  # of a row's chances must be of classes that are judged


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
