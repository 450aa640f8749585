"""Labels judged by given chances and by embeddings, beside cleanlab: `labels.py given`.

scikit-learn's digits, and generated texts of ten topics of which each two share most words. 2, 5
and 10 % of the labels are changed, to any class or to the next one. Chances are out of fold, from
scikit-learn's own models (5 folds). `AP` is the average precision of the check's rank, `self` and
`margin` those of cleanlab's get_label_quality_scores on the same chances (self_confidence, which
find_label_issues ranks by, and normalized_margin); P and R are of what both name
(cleanlab's find_label_issues), `held` of rows in
quarantine, `stated` and `true` are shares of legitimate rows among the held.
"""

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "tests")]

from rows_with_roles import contract_of, judged, shards_of  # noqa: E402

from checks.kit import sample  # noqa: E402
from checks.kit.vectors import with_lists  # noqa: E402
from checks.labels import Labels  # noqa: E402

RATES = (0.02, 0.05, 0.1)
KINDS = ("any", "next")
FOLDS = 5
COLUMNS = ("AP", "self", "margin", "P", "R", "peer P", "peer R", "held P", "held R", "stated",
           "true")  # fmt: skip


def digits(_):
    """Return pixels, classes, and models by name."""
    from sklearn.datasets import load_digits
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pixels, true = load_digits(return_X_y=True)
    return pixels, true, {
        "logistic": make_pipeline(StandardScaler(), LogisticRegression(max_iter=200)),
        "neighbours": KNeighborsClassifier(10),
        "forest": RandomForestClassifier(100, random_state=0),
    }  # fmt: skip


def texts(seed, rows=2_000, classes=10, words=2_000):
    """Return TF-IDF of generated texts, classes, and models by name."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(seed)
    topics = np.array([1 / np.arange(1, words + 1)] * classes)
    topics *= np.exp(rng.normal(0, 0.9, topics.shape))
    topics[1::2] = topics[::2] * np.exp(rng.normal(0, 0.45, topics[1::2].shape))
    topics /= topics.sum(1, keepdims=True)
    true = rng.integers(0, classes, rows)
    sizes = rng.lognormal(4.2, 0.7, rows).astype(int) + 5
    pairs = zip(true, sizes, strict=True)
    said = [" ".join(f"w{n}" for n in rng.choice(words, size, p=topics[k])) for k, size in pairs]
    return TfidfVectorizer(sublinear_tf=True).fit_transform(said), true, {
        "logistic": LogisticRegression(C=10, max_iter=200),
        "bayes": MultinomialNB(alpha=0.1),
        "neighbours": KNeighborsClassifier(10),
    }  # fmt: skip


def flipped(true, rate, kind, seed):
    """Return labels of which a share is wrong, and which are."""
    rng = np.random.default_rng(seed)
    classes, given = true.max() + 1, true.copy()
    hit = rng.choice(len(true), int(rate * len(true)), replace=False)
    step = rng.integers(1, classes, len(hit)) if kind == "any" else 1
    given[hit] = (given[hit] + step) % classes
    return given, given != true


def figures(chances, given, wrong, found, rank):
    """Return the figures of COLUMNS."""
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores
    from sklearn.metrics import average_precision_score

    peers = [
        average_precision_score(wrong, -get_label_quality_scores(given, chances, method=method))
        for method in ("self_confidence", "normalized_margin")
    ]
    issue = find_label_issues(given, chances, n_jobs=1)
    severity, rows = np.array(found["severity"].to_pylist()), found["row"].to_numpy()
    flagged, held = np.zeros(len(wrong), bool), np.zeros(len(wrong), bool)
    flagged[rows] = True
    held[rows[severity == "error"]] = True
    shares = [
        part.mean() if len(part) else np.nan
        for mask in (flagged, issue, held)
        for part in (wrong[mask], mask[wrong])
    ]
    stated = found["p_value"].to_numpy()[severity == "error"]
    true = 1 - wrong[held].mean() if held.any() else np.nan
    return [
        average_precision_score(wrong, rank), *peers, *shares,
        stated.mean() if len(stated) else np.nan, true,
    ]  # fmt: skip


def by_chances(chances, given, wrong):
    """Return the figures of labels judged by a column of chances."""
    lists = pa.array(list(chances), pa.list_(pa.float64()))
    found, model = judged(Labels, pa.table({"p": lists, "y": given}), p="probabilities", y="label")
    floored = np.maximum(chances, model.fitted.least)
    rank = model.ranking.score(floored / floored.sum(1, keepdims=True), given)
    return figures(chances, given, wrong, found, rank)


def by_embedding(values, given, wrong):
    """Return the figures of labels judged by an embedding; cleanlab's chances are of neighbours."""
    from sklearn.model_selection import cross_val_predict
    from sklearn.neighbors import KNeighborsClassifier

    table = pa.table({"e": pa.array(list(values), pa.list_(pa.float64())), "y": given})
    roles = {"e": "embedding", "y": "label"}
    found, model = judged(Labels, table, **roles)
    shards = shards_of(table, contract_of(table, **roles))
    projected = model.projection.of(with_lists(shards[0], ("e",)))
    own = model.fitted.predict(projected, sample.folds(shards[0]))
    rank = model.ranking.score(np.clip(own, 1e-6, 1), given)
    chances = cross_val_predict(
        KNeighborsClassifier(10), values, given, cv=FOLDS, method="predict_proba"
    )
    return figures(chances, given, wrong, found, rank)


def embeddings(seed, rows=2_000, classes=10, width=384):
    """Return vectors as a model of texts makes them: classes in a few of many directions."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, rows)
    centers = rng.normal(0, 1, (classes, width)) * 0.16
    inner = rng.normal(0, 1, (rows, 24)) @ rng.normal(0, 1, (24, width)) * 0.06
    made = centers[true] + inner + rng.normal(0, 0.35, (rows, width))
    return made / np.linalg.norm(made, axis=1, keepdims=True), true, {}


def main(seeds):
    """Print the mean over the seeds of each case, and of all cases of a data set."""
    print(" ".join([f"{'case':32}", *(f"{c:>7}" for c in COLUMNS)]))
    for data in (digits, embeddings):
        _by_embedding(data, seeds)
    _by_chances(seeds)


def _by_embedding(data, seeds):
    for rate in RATES:
        for kind in KINDS:
            lines = []
            for seed in range(seeds):
                values, true, _ = data(seed)
                lines.append(by_embedding(values, *flipped(true, rate, kind, seed)))
            _show(f"embedding: {data.__name__} {rate:.0%} {kind}", np.nanmean(lines, axis=0))


def _by_chances(seeds):
    from sklearn.model_selection import cross_val_predict

    for data in (digits, texts):
        every = {}
        for seed in range(seeds):
            values, true, models = data(seed)
            for name, model in models.items():
                for rate in RATES:
                    for kind in KINDS:
                        given, wrong = flipped(true, rate, kind, seed)
                        chances = cross_val_predict(
                            model, values, given, cv=FOLDS, method="predict_proba"
                        )
                        case = f"{data.__name__} {name} {rate:.0%} {kind}"
                        every.setdefault(case, []).append(by_chances(chances, given, wrong))
        for case, lines in every.items():
            _show(case, np.nanmean(lines, axis=0))
        _show(f"{data.__name__} mean", np.nanmean([line for c in every.values() for line in c], 0))


def _show(title, numbers):
    print(f"{title:32} " + " ".join(f"{number:7.3f}" for number in numbers), flush=True)
