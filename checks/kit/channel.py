"""From the true class to the label that is given: class overlap first, then errors of labelling.

P(given y | row) = (1 - rate) p[y] + rate * sum over c of p[c] * wrong[c, y]. `p` is what a model
says out of fold, turned until it fits the labels: that is overlap, which fades as the model grows
surer. Errors do not fade. So the likelihood tells how many labels are wrong, and which class they
are taken for; the confident joint is where the search starts.
Not told apart: errors that follow the columns, and rows that the model is honestly surprised by,
far from the border of two classes. A lower bound of the rate accuses; the best one ranks.
Source: noise channels (Natarajan et al. 2013); confident joint (Northcutt, Jiang, Chuang 2021).
Cost: about n x classes^2 a step, some hundred steps; n rows are a sample. O(n x classes) memory.
"""

import dataclasses

import numpy as np

TURNED = 20  # classes up to which each may be turned towards each; beyond it, sharpened alone
STIFF = 30.0  # weight of the penalty on turning
SHARP_SD = 0.4  # of the log of the sharpening
PRIOR = 2.0  # errors that each class is taken to have seen, spread evenly over the others
LEARNT = 0.1  # share of the errors that the model is taken to have learnt as overlap
DROP = 1.35  # log likelihood given up for the lower bound: one-sided 95 %
EVIDENCE = 5.0  # log likelihood that errors must gain over none before they accuse anyone
HINT = 0.5  # and before any label is doubted
ROUNDS, STEPS, HALVINGS = 12, 10, 4
NONE = 1e-6  # rate that stands for no errors
RANKED = 0.02  # rate at which rows are ranked; any other gives the same order


@dataclasses.dataclass(frozen=True, slots=True)
class Channel:
    """One fitted channel.

    Attributes:
        turn, shift: from log chances to logits of the true class, shapes (classes, classes) and
            (classes,).
        rate: share of labels that are wrong.
        wrong: P(given | true, and the label is wrong), shape (classes, classes), diagonal 0.
        gain: penalised log likelihood.
    """

    turn: np.ndarray
    shift: np.ndarray
    rate: float
    wrong: np.ndarray
    gain: float = 0.0

    def honest(self, told: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return the chance that each given label is the true one, shape (n,).

        Args:
            told: the model's chances out of fold, shape (n, classes).
            given: int64 class codes, shape (n,).
        """
        return self._odds(told, given, self.rate)

    def score(self, told: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return how contrary each label is, for ranking, in [0, 1], shape (n,)."""
        return 1 - self._odds(told, given, RANKED)

    def supported(self, told: np.ndarray, given: np.ndarray) -> np.ndarray:
        """Return the likeliest true class if the given one is wrong: codes, shape (n,)."""
        likely = self._true(told) * self.wrong.T[given]
        return np.asarray(likely.argmax(1))

    def _true(self, told: np.ndarray) -> np.ndarray:
        return _softmax(_logs(told, self.rate, self.wrong) @ self.turn + self.shift)

    def _odds(self, told: np.ndarray, given: np.ndarray, rate: float) -> np.ndarray:
        true = self._true(told)
        right, false = _sides(true, given, self.wrong)
        made: np.ndarray = (1 - rate) * right / ((1 - rate) * right + rate * false + 1e-300)
        return made


def fit(told: np.ndarray, given: np.ndarray) -> tuple[Channel | None, Channel | None]:
    """Return the likeliest channel, and that of the fewest errors that the labels allow.

    The first is None where the model says no more of the labels than how frequent each is. The
    second is None where the labels give no evidence of errors beyond class overlap.

    Args:
        told: chances out of fold, shape (n, classes), every class given at least once.
        given: int64 class codes, shape (n,).
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    with threadpool_limits(1, user_api="blas"):  # the same numbers on any machine
        even = (1 - np.eye(told.shape[1])) / (told.shape[1] - 1)
        none = _climb(told, given, _Point(np.zeros(_size(told)), even, NONE), is_fixed=True)
        best = _climb(told, given, _joint(told, given), is_fixed=False)
        shares = np.bincount(given, minlength=told.shape[1]) / len(given)
        if max(best.gain, none.gain) - float(np.log(shares[given]).sum()) < EVIDENCE:
            return None, None
        if best.gain - none.gain < EVIDENCE:
            return (best if best.gain - none.gain > HINT else none).channel(), None
        return best.channel(), _fewest(told, given, best).channel()


@dataclasses.dataclass(frozen=True, slots=True)
class _Point:
    free: np.ndarray  # log of the sharpening, then turn beyond it, then shift
    wrong: np.ndarray
    rate: float
    gain: float = -np.inf

    def channel(self) -> Channel:
        turn, shift = _parts(self.free, len(self.wrong))
        return Channel(turn, shift, self.rate, self.wrong, self.gain)


def _fewest(told: np.ndarray, given: np.ndarray, best: _Point) -> _Point:
    low, high, found = 0.0, best.rate, best
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        tried = _climb(told, given, dataclasses.replace(found, rate=middle), is_fixed=True)
        if best.gain - tried.gain > DROP:
            low = middle
        else:
            high, found = middle, tried
    return found


def _climb(told: np.ndarray, given: np.ndarray, start: _Point, *, is_fixed: bool) -> _Point:
    """Turn by quasi-Newton steps, then rate and `wrong` by expectation and maximisation."""
    from scipy.optimize import minimize

    point, classes = start, told.shape[1]
    for _ in range(ROUNDS):
        logs = _logs(told, point.rate, point.wrong)
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
        rate, wrong = point.rate, point.wrong
        for _ in range(5):
            rate, wrong = _mended(true, given, rate, wrong, is_fixed=is_fixed)
        gain = _gain(true, given, found.x, rate, wrong)
        is_still = gain - point.gain < 0.05  # noqa: PLR2004  # log likelihood
        point = _Point(found.x, wrong, rate, gain)
        if is_still:
            break
    return point


def _loss(
    free: np.ndarray, logs: np.ndarray, given: np.ndarray, point: _Point
) -> tuple[float, np.ndarray]:
    classes, rate = logs.shape[1], point.rate
    turn, shift = _parts(free, classes)
    true = _softmax(logs @ turn + shift)
    weight = rate * point.wrong.T[given]
    weight[np.arange(len(given)), given] = 1 - rate
    chance = (true * weight).sum(1) + 1e-12
    pull = true * (1 - weight / chance[:, None])
    sharp = np.exp(free[0]) * float((pull * logs).sum()) + free[0] / SHARP_SD**2
    slope = [[sharp], pull.sum(0) + STIFF * shift]
    if classes <= TURNED:
        slope.insert(1, (logs.T @ pull).ravel() + STIFF * free[1:-classes])
    penalty = STIFF * (free[1:] ** 2).sum() / 2 + (free[0] / SHARP_SD) ** 2 / 2
    return float(penalty - np.log(chance).sum()), np.concatenate(slope)


def _mended(
    true: np.ndarray, given: np.ndarray, rate: float, wrong: np.ndarray, *, is_fixed: bool
) -> tuple[float, np.ndarray]:
    classes = true.shape[1]
    right, false = _sides(true, given, wrong)
    chance = (1 - rate) * right + rate * false + 1e-12
    each = np.zeros((classes, classes))
    np.add.at(each.T, given, true / chance[:, None])
    counts = rate * each * wrong + PRIOR / (classes - 1) * (1 - np.eye(classes))
    share = rate if is_fixed else max(float((rate * false / chance).mean()), NONE)
    return share, counts / counts.sum(1, keepdims=True)


def _gain(
    true: np.ndarray, given: np.ndarray, free: np.ndarray, rate: float, wrong: np.ndarray
) -> float:
    classes = true.shape[1]
    right, false = _sides(true, given, wrong)
    prior = PRIOR / (classes - 1) * np.log(wrong * (classes - 1) + np.eye(classes)).sum()
    penalty = STIFF * (free[1:] ** 2).sum() / 2 + (free[0] / SHARP_SD) ** 2 / 2
    return float(np.log((1 - rate) * right + rate * false + 1e-12).sum() + prior - penalty)


def _sides(true: np.ndarray, given: np.ndarray, wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    # chance of the given label if it is right, and if it is wrong
    return true[np.arange(len(given)), given], (true * wrong.T[given]).sum(1)


def _joint(told: np.ndarray, given: np.ndarray) -> _Point:
    from cleanlab.count import compute_confident_joint

    # one thresholds each class at the mean chance of those who are given it
    joint = compute_confident_joint(given, told, calibrate=False).astype(float)
    off = joint * (1 - np.eye(len(joint)))
    counts = off.T + PRIOR / (len(joint) - 1) * (1 - np.eye(len(joint)))
    rate = float(np.clip(off.sum() / max(joint.sum(), 1), 0.01, 0.3))
    return _Point(np.zeros(_size(told)), counts / counts.sum(1, keepdims=True), rate)


def _parts(free: np.ndarray, classes: int) -> tuple[np.ndarray, np.ndarray]:
    turn = np.exp(free[0]) * np.eye(classes)
    if classes <= TURNED:
        turn = turn + free[1:-classes].reshape(classes, classes)
    return turn, free[-classes:]


def _size(told: np.ndarray) -> int:
    classes: int = told.shape[1]
    return 1 + classes + (classes**2 if classes <= TURNED else 0)


def _logs(told: np.ndarray, rate: float, wrong: np.ndarray) -> np.ndarray:
    # a model trained on labels with errors says no less than the share it has learnt of them: it
    # is taken off where the chance is greater by far, and a chance below it falls off smoothly
    floor = np.maximum(LEARNT * rate * (told @ wrong), 1e-12)
    made = np.log(np.clip(told - floor * -np.expm1(-told / floor), 1e-6, 1.0))
    centred: np.ndarray = made - made.mean(1, keepdims=True)
    return centred


def _softmax(logits: np.ndarray) -> np.ndarray:
    made = np.exp(logits - logits.max(1, keepdims=True))
    normal: np.ndarray = made / made.sum(1, keepdims=True)
    return normal
