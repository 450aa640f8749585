"""Wrong labels beside cleanlab: `python benchmarks/labels.py planted [--seeds 5]`, or another part.

planted: 3 % and 10 % of the labels of four real tables are changed, to any class or to the next
one, and the check is compared with cleanlab over a cross-validated logistic regression (one-hot,
scaled). given: the roles `probabilities` and `embedding`, see labels_given.py. sets: lists of
labels, see label_sets.py. injected: whether
known flips in a copy tell more than what is stated. clean: the tables as they are, and generated
ones without a fault. outcome: what a model is worth that is trained on the
rows as they came, less the held, or less all that were found.

The folder named by ASSAY_BENCH_DATA holds tables/diamonds.csv and tables/titanic.csv; diamonds is a
sample of 12,000 rows, drawn once. A table's own errors count as honest, so every precision is a
lower bound, and every true share of honest rows among the held an upper one; `less own` is that
share without the rows that are doubted where nothing is planted, too.
"""

import argparse
import itertools
import statistics
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import detection  # noqa: E402

from checks.kit import sample  # noqa: E402
from checks.labels import DOUBTED, Labels, _codes, _normal, names  # noqa: E402

CASES = [(0.03, "any"), (0.1, "any"), (0.03, "next"), (0.1, "next")]
DIAMONDS = 12_000
FLIPS = 0.03  # of the labels, known, put into a copy
LEAST_HELD = 10
COLUMNS = ("AP", "peer AP", "P", "R", "peer P", "peer R", "held P", "held R", "stated", "true",
           "less own")  # fmt: skip


def tables():
    """Yield (name, table, label column) of the four real tables."""
    from sklearn.datasets import load_breast_cancer, load_digits

    titanic = pyarrow.csv.read_csv(detection.DATA / "tables/titanic.csv").drop(["alive"])
    yield "titanic", titanic, "survived"
    for name, load in (("digits", load_digits), ("bcancer", load_breast_cancer)):
        data = load()
        columns = {f"f{i}": data.data[:, i] for i in range(data.data.shape[1])}
        yield name, pa.table(columns | {"y": data.target.astype(str)}), "y"
    diamonds = pyarrow.csv.read_csv(detection.DATA / "tables/diamonds.csv")
    drawn = np.random.default_rng(0).choice(diamonds.num_rows, DIAMONDS, replace=False)
    yield "diamonds", diamonds.take(pa.array(np.sort(drawn))), "cut"


def planted_in(table, label, rate, kind, seed):
    """Return the table with wrong labels, and which rows have one; the first classes err more."""
    rng = np.random.default_rng(seed)
    known, clean = np.unique(table[label].to_numpy(), return_inverse=True)
    weight = np.where((kind == "next") & (clean < len(known) / 2), 3.0, 1.0)
    hit = rng.choice(len(clean), int(rate * len(clean)), replace=False, p=weight / weight.sum())
    step = rng.integers(1, len(known), len(hit)) if kind == "any" else 1
    codes = clean.copy()
    codes[hit] = (clean[hit] + step) % len(known)
    place = table.column_names.index(label)
    return table.set_column(place, label, pa.array(known[codes])), codes != clean


def peer(table, label):
    """Return cleanlab's quality of each label and the rows that it calls an issue."""
    from cleanlab.classification import CleanLearning
    from sklearn.compose import make_column_transformer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    wide = table.drop([label]).to_pandas()
    numbers = [c for c in wide if wide[c].dtype.kind in "if"]
    others = [c for c in wide if c not in numbers]
    wide[others] = wide[others].astype(object).where(wide[others].notna(), "missing").astype(str)
    view = make_column_transformer(
        (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        (OneHotEncoder(handle_unknown="ignore"), others),
    )
    model = make_pipeline(view, LogisticRegression(max_iter=300))
    codes = np.unique(table[label].to_numpy(), return_inverse=True)[1]
    told = CleanLearning(model, cv_n_folds=5, seed=0, find_label_issues_kwargs={"n_jobs": 1})
    issues = told.find_label_issues(wide, codes)
    return issues["label_quality"].to_numpy(), issues["is_label_issue"].to_numpy()


def rank_of(table, label, model):
    """Return the score of every row, of those too that earn no finding."""
    given = _codes(names(table[label]), model.classes)
    folds = sample.folds(detection.shard_of(table))
    return model.likely.score(_normal(model.fitted.predict(table, folds)), given)


def mask_of(found, rows, severity=None):
    """Return which rows have a finding (of one severity), bool, shape (rows,)."""
    kept = found if severity is None else found.filter(pc.equal(found["severity"], severity))
    mask = np.zeros(rows, bool)
    mask[kept["row"].to_numpy()] = True
    return mask


def own(table, label):
    """Return which rows are doubted where nothing is planted, bool, shape (rows,)."""
    found, *_ = detection.judge(Labels, table, label=label)
    return mask_of(found.filter(pc.less(found["p_value"], DOUBTED)), table.num_rows)


def one(table, label, doubted, case, seed):
    """Plant, examine and compare; return the figures of one line and the counts for pooling."""
    from sklearn.metrics import average_precision_score

    dirty, wrong = planted_in(table, label, *case, seed)
    start = time.perf_counter()
    found, model, _ = detection.judge(Labels, dirty, label=label)
    middle = time.perf_counter()
    quality, issue = peer(dirty, label)
    took = middle - start, time.perf_counter() - middle
    flagged, held = mask_of(found, len(wrong)), mask_of(found, len(wrong), "error")
    severe = found.filter(pc.equal(found["severity"], "error"))
    stated = float(severe["p_value"].to_numpy().sum())
    counts = [
        (mask.sum(), (mask & wrong).sum(), wrong.sum(), 0) for mask in (flagged, issue, held)
    ] + [(stated, held.sum(), (held & ~wrong).sum(), (held & ~wrong & ~doubted).sum())]
    ranks = [
        average_precision_score(wrong, rank_of(dirty, label, model)),
        average_precision_score(wrong, -quality),
    ]
    return ranks, np.array(counts, float), took


def line_of(ranks, counts):
    """Return the figures of COLUMNS; NaN where nothing is held."""
    with np.errstate(invalid="ignore"):
        shares = [f(*each[:3]) for each in counts[:3] for f in (_precision, _recall)]
        stated, held, *honest = counts[3]
        return [*ranks, *shares, *(np.divide(part, held) for part in (stated, *honest))]


def _precision(named, hit, _wrong):
    return np.divide(hit, named)


def _recall(_named, hit, wrong):
    return np.divide(hit, wrong)


def planted(seeds):
    """Print each case over the seeds (median, worst), each table pooled, and all of them."""
    print(" ".join([f"{'case':24}", *(f"{c:>8}" for c in COLUMNS)]))
    every, sums, spent = {}, {}, np.zeros(2)
    for name, table, label in tables():
        doubted = own(table, label)
        for rate, kind in CASES:
            done = [one(table, label, doubted, (rate, kind), seed) for seed in range(seeds)]
            lines = np.array([line_of(ranks, counts) for ranks, counts, _ in done])
            every.setdefault(name, []).extend(lines)
            sums[name] = sums.get(name, 0) + sum(counts for _, counts, _ in done)
            spent += sum(np.array(took) for *_, took in done)
            _show(f"{name} {rate:.0%} {kind}", np.nanmedian(lines, axis=0))
            worst = np.nanmin(lines, axis=0)
            worst[8:] = np.nanmax(lines[:, 8:], axis=0)
            _show("  worst", worst)
        ranks = np.mean(every[name], axis=0)[:2]
        _show(f"{name} pooled", line_of(ranks, sums[name]))
    means = np.array([np.nanmean(lines, axis=0) for lines in every.values()])
    _show("mean of tables", np.nanmean(means, axis=0))
    _show("rows of all tables", line_of(means.mean(0)[:2], sum(sums.values())))
    print(f"seconds: check {spent[0]:.0f}, cleanlab {spent[1]:.0f}")


def injected(seeds):
    """Print the stated share beside the one that known flips in a copy would tell, and the true.

    Flips by the fitted channel are put into a copy, which is examined anew. Of as many errors as
    the channel sees, the share that is held is that of the flips; the other held rows are honest.
    """
    print(f"{'case':24} {'by flips':>8} {'stated':>8} {'true':>8}")
    far = []
    for name, table, label in tables():
        for (rate, kind), seed in itertools.product(CASES, range(seeds)):
            dirty, wrong = planted_in(table, label, rate, kind, seed)
            _, model, _ = detection.judge(Labels, dirty, label=label)
            if model.likely is None:
                continue
            copy, put = _flipped(dirty, label, model, seed)
            found, again, _ = detection.judge(Labels, copy, label=label)
            severe = found.filter(pc.equal(found["severity"], "error"))
            held, honest = mask_of(severe, len(put)), severe["p_value"].to_numpy()
            others = held & ~put
            if again.likely is None or others.sum() < LEAST_HELD:
                continue
            errors = max(again.likely.rate * len(put) - put.sum(), 0)
            by_flips = 1 - min(errors * held[put].mean() / others.sum(), 1)
            stated = honest[~put[severe["row"].to_numpy()]].mean()
            true = (others & ~wrong).sum() / others.sum()
            far.append(np.abs(np.array([by_flips, stated]) - true))
            _show(f"{name} {rate:.0%} {kind} {seed}", [by_flips, stated, true])
    _show("mean distance from true", [*np.mean(far, axis=0), 0.0])


def _flipped(table, label, model, seed):
    rng = np.random.default_rng(seed + 1000)
    known, codes = np.unique(table[label].to_numpy(), return_inverse=True)
    put = np.zeros(len(codes), bool)
    put[rng.choice(len(codes), int(FLIPS * len(codes)), replace=False)] = True
    turned = model.likely.wrong.cumsum(1)[codes[put]]
    codes[put] = (turned < rng.random((put.sum(), 1)) * turned[:, -1:]).sum(1)
    place = table.column_names.index(label)
    return table.set_column(place, label, pa.array(known[codes])), put


def _show(title, figures):
    shown = " ".join("       -" if np.isnan(f) else f"{f:8.3f}" for f in figures)
    print(f"{title:24} {shown}", flush=True)


def clean(seeds):
    """Print what is held and doubted where nothing was planted."""
    import generate
    import poisoning

    for name, table, label in tables():
        _as_is(name, table, label)
    for seed in range(seeds):
        loans = pa.table(poisoning.loans(50_000, seed)).drop(["loan_id", "branch", "applied"])
        _as_is(f"loans {seed}", loans, "defaulted", texts=("note",))
        wide = generate.wide(50_000, seed)[0].drop(["loan_id", "branch", "applied_at"])
        _as_is(f"wide {seed}", wide, "defaulted", texts=("note", "remark"))


def _as_is(name, table, label, **how):
    found, model, took = detection.judge(Labels, table, label=label, **how)
    held = mask_of(found, table.num_rows, "error").mean()
    shown = (
        f"{name:10} {table.num_rows:6} rows: held {held:.4%}, found {len(found) / len(table):.2%}"
    )
    print(f"{shown}, {sum(took):.1f} s: {model.notes[0]}", flush=True)


def outcome(seeds):
    """Print the error on clean rows of a model trained on the rows as they came, and on the rest.

    A tenth of the labels of 70 % of the rows is wrong; the other 30 % are the test.
    """
    print(f"{'case':20} {'as came':>8} {'less held':>9} {'less found':>10} {'no error':>8}")
    for name, table, label in tables():
        for kind in ("any", "next"):
            lines = [_worth(table, label, kind, seed) for seed in range(seeds)]
            middle = [statistics.median(column) for column in zip(*lines, strict=True)]
            print(f"{name} {kind:12}", " ".join(f"{value:8.3f}" for value in middle), flush=True)


def _worth(table, label, kind, seed):
    order = np.random.default_rng(seed).permutation(table.num_rows)
    cut = int(0.7 * table.num_rows)
    learn, test = (table.take(pa.array(part)) for part in (order[:cut], order[cut:]))
    dirty, wrong = planted_in(learn, label, 0.1, kind, seed)
    found, *_ = detection.judge(Labels, dirty, label=label)
    held, seen = mask_of(found, cut, "error"), mask_of(found, cut)
    return [
        _error(dirty.filter(pa.array(~out)), test, label)
        for out in (np.zeros(cut, bool), held, seen, wrong)
    ]


def _error(learn, test, label):
    from sklearn.ensemble import HistGradientBoostingClassifier

    wide = [part.drop([label]).to_pandas() for part in (learn, test)]
    for column in wide[0].columns:
        if wide[0][column].dtype.kind not in "if":
            known = {v: i for i, v in enumerate(sorted(wide[0][column].dropna().unique(), key=str))}
            for part in wide:
                part[column] = part[column].map(known).astype(float)
    model = HistGradientBoostingClassifier(random_state=0, early_stopping=False, max_iter=60)
    model.fit(wide[0], learn[label].to_numpy())
    return float((model.predict(wide[1]) != test[label].to_numpy()).mean())


def given(seeds):
    """Print what benchmarks/labels_given.py measures."""
    import labels_given

    labels_given.main(seeds)


def sets(seeds):
    """Print what benchmarks/label_sets.py measures."""
    import label_sets

    label_sets.main(seeds)


def main():
    """Read the arguments and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "part", choices=["planted", "given", "sets", "injected", "clean", "outcome"]
    )
    parser.add_argument("--seeds", type=int, default=5)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    globals()[asked.part](asked.seeds)


if __name__ == "__main__":
    main()
