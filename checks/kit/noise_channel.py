"""A noise channel from the true class to the given label: class overlap first, then label errors.

P(given y | row) = p[y] (1 - rate[y]) + sum over c of p[c] rate[c] wrong[c, y]. `p` is a model's
out-of-fold probability, recalibrated to fit the labels: that is class overlap, which fades as the
model becomes more certain. Errors do not fade, so the likelihood estimates how many labels of a
class are wrong and which classes they are confused with. The search starts at the confident joint.
The channel cannot distinguish errors that follow the columns from correct rows that surprise the
model far from any class border. A lower bound of the rate quarantines; the best estimate ranks.
Source: noise channels (Natarajan et al. 2013); confident joint (Northcutt, Jiang, Chuang 2021).
Cost: about n x classes^2 per step, some hundred steps, n rows sampled; O(n x classes) memory.
"""

import dataclasses

import numpy as np

TURNED = 20  # up to this many classes, recalibrate each towards each; beyond it, only sharpen
STIFF = 30.0  # weight of the penalty on recalibration
SHARP_SD = 0.4  # of the log of the sharpening
PRIOR = 2.0  # pseudo-errors per class, spread evenly over the other classes
DROP = 1.35  # loss of log likelihood at the lower bound: one-sided 95 %
EVIDENCE = 5.0  # log likelihood that errors must gain before any row is quarantined
HINT = 0.5  # and before any label is doubted
ROUNDS, STEPS, HALVINGS = 12, 10, 4
ALIKE = 50.0  # pseudo-rows for the prior that all classes have the same error rate
MOST = 0.4  # largest share of a class's labels that may be wrong
NONE = 1e-6  # rate that represents no errors
RANKED = 0.02  # mean rate used for ranking; any other gives the same order


@dataclasses.dataclass(frozen=True, slots=True)
class Channel:
    """A fitted channel.

    Attributes:
        turn, shift: from log chances to logits of the true class, shapes (classes, classes) and
            (classes,).
        rates: share of wrong labels of each true class, shape (classes,).
        rate: share of wrong labels overall.
        wrong: P(given | true, and the label is wrong), shape (classes, classes), diagonal 0.
        gain: penalised log likelihood.
    """

    turn: np.ndarray
    shift: np.ndarray
    rates: np.ndarray
    rate: float
    wrong: np.ndarray
    gain: float = 0.0

    def correct(self, chances: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return the chance that each given label is the true one, shape (n,).

        Args:
            chances: out-of-fold probabilities, shape (n, classes).
            given: int64 class codes, shape (n,).
        """
        return self._odds(chances, given, 1.0)

    def score(self, chances: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return how strongly each label is contradicted, for ranking, in [0, 1], shape (n,)."""
        return 1 - self._odds(chances, given, RANKED / max(self.rate, NONE))

    def supported(self, chances: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return the most likely true class if the given one is wrong: codes, shape (n,)."""
        likely = self._true(chances) * (self.rates[:, None] * self.wrong).T[given]
        return np.asarray(likely.argmax(1))

    def _true(self, chances: np.ndarray) -> np.ndarray:
        return _softmax(_logs(chances) @ self.turn + self.shift)

    def _odds(self, chances: np.ndarray, given: np.ndarray, times: float) -> np.ndarray:
        right, false = _likelihoods(self._true(chances), given, self.rates, self.wrong)
        made: np.ndarray = right / (right + times * false + 1e-300)
        return made


def fit(
    chances: np.ndarray, given: np.ndarray, *, fits: int = 1
) -> tuple[Channel | None, Channel | None]:
    """Return the maximum-likelihood channel, and the one with the fewest errors still plausible.

    The first is None if the model predicts the labels no better than their frequencies do. The
    second is None if there is no evidence of errors beyond class overlap.

    Args:
        chances: out-of-fold probabilities, shape (n, classes), every class given at least once.
        given: int64 class codes, shape (n,).
        fits: of how many channels the lower bounds must hold at once, this one included.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1, user_api="blas"):  # identical results on any machine
        even = (1 - np.eye(chances.shape[1])) / (chances.shape[1] - 1)
        never = np.full(chances.shape[1], NONE)
        none = _climb(
            chances, given, _Point(np.zeros(_free_size(chances)), even, never), is_fixed=True
        )
        best = _climb(chances, given, _joint(chances, given), is_fixed=False)
        shares = np.bincount(given, minlength=chances.shape[1]) / len(given)
        if max(best.gain, none.gain) - float(np.log(shares[given]).sum()) < EVIDENCE:
            return None, None
        more = float(np.log(fits))  # an error of 5 % in all fits together
        if best.gain - none.gain < EVIDENCE + more:
            return (best if best.gain - none.gain > HINT else none).channel(), None
        return best.channel(), _fewest(chances, given, best, DROP + more).channel()


@dataclasses.dataclass(frozen=True, slots=True)
class _Point:
    free: np.ndarray  # log of the sharpening, then the rest of `turn`, then `shift`
    wrong: np.ndarray
    rates: np.ndarray
    rate: float = 0.0
    gain: float = -np.inf

    def channel(self) -> Channel:
        turn, shift = _parts(self.free, len(self.wrong))
        return Channel(turn, shift, self.rates, self.rate, self.wrong, self.gain)


def _fewest(chances: np.ndarray, given: np.ndarray, best: _Point, drop: float) -> _Point:
    low, high, found = 0.0, 1.0, best
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fewer = dataclasses.replace(found, rates=middle * best.rates)
        tried = _climb(chances, given, fewer, is_fixed=True)
        if best.gain - tried.gain > drop:
            low = middle
        else:
            high, found = middle, tried
    return found


def _climb(chances: np.ndarray, given: np.ndarray, start: _Point, *, is_fixed: bool) -> _Point:
    """Alternate quasi-Newton steps for the recalibration with EM steps for `rates` and `wrong`."""
    from scipy.optimize import minimize

    point, classes = start, chances.shape[1]
    logs = _logs(chances)
    for _ in range(ROUNDS):
        found = minimize(
            _loss,
            point.free,
            args=(logs, given, point),
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": STEPS},
        )
        turn, shift = _parts(found.x, classes)
        true = _softmax(logs @ turn + shift)
        rates, wrong = point.rates, point.wrong
        for _ in range(5):
            rates, wrong = _mended(true, given, rates, wrong, is_fixed=is_fixed)
        gain = _gain(true, given, found.x, rates, wrong)
        has_converged = gain - point.gain < 0.05  # noqa: PLR2004  # log likelihood
        point = dataclasses.replace(point, free=found.x, wrong=wrong, rates=rates, gain=gain)
        if has_converged:
            break
    return dataclasses.replace(point, rate=float((true @ point.rates).mean()))


def _loss(
    free: np.ndarray, logs: np.ndarray, given: np.ndarray, point: _Point
) -> tuple[float, np.ndarray]:
    classes = logs.shape[1]
    turn, shift = _parts(free, classes)
    true = _softmax(logs @ turn + shift)
    weight = (point.rates[:, None] * point.wrong)[:, given].T
    weight[np.arange(len(given)), given] = 1 - point.rates[given]
    chance = (true * weight).sum(1) + 1e-12
    pull = true * (1 - weight / chance[:, None])
    sharp = np.exp(free[0]) * float((pull * logs).sum()) + free[0] / SHARP_SD**2
    slope = [[sharp], pull.sum(0) + STIFF * shift]
    if classes <= TURNED:
        slope.insert(1, (logs.T @ pull).ravel() + STIFF * free[1:-classes])
    penalty = STIFF * (free[1:] ** 2).sum() / 2 + (free[0] / SHARP_SD) ** 2 / 2
    return float(penalty - np.log(chance).sum()), np.concatenate(slope)


def _mended(
    true: np.ndarray, given: np.ndarray, rates: np.ndarray, wrong: np.ndarray, *, is_fixed: bool
) -> tuple[np.ndarray, np.ndarray]:
    classes = true.shape[1]
    right, false = _likelihoods(true, given, rates, wrong)
    chance = right + false + 1e-12
    each = np.stack([np.bincount(given, one / chance, classes) for one in true.T])
    errors = rates[:, None] * each * wrong
    counts = errors + PRIOR / (classes - 1) * (1 - np.eye(classes))
    if not is_fixed:
        whole = np.bincount(given, right / chance, classes) + errors.sum(1)
        # shrink the rate of a small class towards the mean of all
        mean = errors.sum() / len(given)
        rates = np.clip((errors.sum(1) + ALIKE * mean) / (whole + ALIKE), NONE, MOST)
    return rates, counts / counts.sum(1, keepdims=True)


def _gain(
    true: np.ndarray, given: np.ndarray, free: np.ndarray, rates: np.ndarray, wrong: np.ndarray
) -> float:
    classes = true.shape[1]
    right, false = _likelihoods(true, given, rates, wrong)
    prior = PRIOR / (classes - 1) * np.log(wrong * (classes - 1) + np.eye(classes)).sum()
    penalty = STIFF * (free[1:] ** 2).sum() / 2 + (free[0] / SHARP_SD) ** 2 / 2
    return float(np.log(right + false + 1e-12).sum() + prior - penalty)


def _likelihoods(
    true: np.ndarray, given: np.ndarray, rates: np.ndarray, wrong: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    # chance of the given label if it is correct, and if it is an error
    right = true[np.arange(len(given)), given] * (1 - rates[given])
    return right, (true * (rates[:, None] * wrong)[:, given].T).sum(1)


def _joint(chances: np.ndarray, given: np.ndarray) -> _Point:
    from cleanlab.count import compute_confident_joint

    # each class is thresholded at the mean probability of the rows labelled with it
    joint = compute_confident_joint(given, chances, calibrate=False).astype(float)
    off = joint * (1 - np.eye(len(joint)))
    counts = off.T + PRIOR / (len(joint) - 1) * (1 - np.eye(len(joint)))
    rate = float(np.clip(off.sum() / max(joint.sum(), 1), 0.01, 0.3))
    return _Point(
        np.zeros(_free_size(chances)),
        counts / counts.sum(1, keepdims=True),
        np.full(len(joint), rate),
    )


def _parts(free: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    turn = np.exp(free[0]) * np.eye(classes)
    if classes <= TURNED:
        turn = turn + free[1:-classes].reshape(classes, classes)
    return turn, free[-classes:]


def _free_size(chances: np.ndarray) -> int:
    classes: int = chances.shape[1]
    return 1 + classes + (classes**2 if classes <= TURNED else 0)


def _logs(chances: np.ndarray) -> np.ndarray:
    made = np.log(np.clip(chances, 1e-6, 1.0))
    centred: np.ndarray = made - made.mean(1, keepdims=True)
    return centred


def _softmax(logits: np.ndarray) -> np.ndarray:
    # sums over few classes of many rows are several times faster column by column
    logits = np.asfortranarray(logits)
    made = np.exp(logits - logits.max(1, keepdims=True))
    normal: np.ndarray = made / made.sum(1, keepdims=True)
    return normal
