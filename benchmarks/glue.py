"""What one would write today with the libraries' own guides: the peer that Assay is measured by.

pandas reads, Great Expectations validates, cleanlab looks for label errors in out-of-fold
probabilities of a logistic regression, IsolationForest for outliers, Presidio for personal data
text by text; flagged rows go to one Parquet file, the others to another. Prints one JSON object:
seconds a step, peak memory, rows flagged, and recall and false alarms if the truth is given.

    python benchmarks/glue.py FOLDER --out OUT      FOLDER as benchmarks/generate.py makes it
"""

import argparse
import importlib
import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LABEL, KEY, DATE = "defaulted", "loan_id", "applied_at"
INTEGERS = ["age", "income", "amount", "term_months", "late_payments", "visits"]
NUMBERS = [*INTEGERS, "rate", "savings", "bureau_score"]
TEXTS = ["note", "remark"]
VALID = {
    "branch": [
        "Oslo", "Drammen", "Hamar", "Bergen", "Stavanger", "Ålesund", "Kristiansand", "Arendal",
        "Trondheim", "Molde", "Tromsø", "Bodø",
    ],
    "employment": ["permanent", "contract", "self-employed", "student", "retired"],
    "purpose": ["car", "home", "debt", "studies", "medical", "travel"],
    "region": ["east", "west", "south", "centre", "north"],
    "queue_code": ["C1", "C2", "C3"],
    "channel": ["web", "branch", "phone", "partner"],
    LABEL: ["yes", "no"],
}  # fmt: skip
BETWEEN = {
    "age": (18, 100), "income": (0, 1_000_000), "amount": (500, 500_000), "term_months": (6, 120),
    "rate": (0, 30), "late_payments": (0, 30), "visits": (0, 1000), "savings": (0, 1e8),
    "bureau_score": (0, 1000),
}  # fmt: skip
OPTIONAL = {"income", "employment", *TEXTS}
UNWANTED = {"DATE_TIME", "URL"}  # off in Assay too: dates and links are no personal data here

SECONDS: dict[str, float] = {}


@contextmanager
def step(name: str) -> Iterator[None]:
    """Time one step into SECONDS."""
    start = time.perf_counter()
    yield
    SECONDS[name] = round(time.perf_counter() - start, 3)


def read(path: Path) -> tuple[Any, set[int]]:
    """Read the CSV; rows whose numbers or dates do not parse are flagged."""
    import pandas as pd

    frame = pd.read_csv(path, low_memory=False)
    broken: set[int] = set()
    for name in [c for c in [*NUMBERS, DATE] if c in frame]:
        to = pd.to_datetime if name == DATE else pd.to_numeric
        parsed = to(frame[name], errors="coerce")
        is_given = frame[name].notna() & (frame[name] != "")  # pandas keeps "" beside huge integers
        broken |= set(frame.index[parsed.isna() & is_given])
        frame[name] = parsed
    return frame, broken


def expectations(frame: Any) -> list[Any]:
    """Return about thirty expectations, those of the contract."""
    import great_expectations.expectations as gxe

    wanted: list[Any] = [
        gxe.ExpectTableRowCountToBeBetween(min_value=1000),
        gxe.ExpectColumnMedianToBeBetween(column="rate", min_value=5.0, max_value=11.0),
        gxe.ExpectColumnValuesToBeUnique(column=KEY),
        gxe.ExpectColumnValuesToMatchRegex(column=KEY, regex=r"^L-[0-9]{6}$"),
    ]
    required = [name for name in frame.columns if name not in OPTIONAL]
    wanted += [gxe.ExpectColumnValuesToNotBeNull(column=name) for name in required]
    wanted += [
        gxe.ExpectColumnValuesToBeBetween(column=name, min_value=low, max_value=high)
        for name, (low, high) in BETWEEN.items()
        if name in frame
    ]
    wanted += [
        gxe.ExpectColumnValuesToBeInSet(column=name, value_set=values)
        for name, values in VALID.items()
        if name in frame
    ]
    texts = [name for name in TEXTS if name in frame]
    wanted += [
        gxe.ExpectColumnValueLengthsToBeBetween(column=name, min_value=3, max_value=400)
        for name in texts
    ]
    return wanted


def validate(frame: Any) -> set[int]:
    """Validate with Great Expectations on pandas; return the rows it found unexpected."""
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    asset = context.data_sources.add_pandas("pandas").add_dataframe_asset("loans")
    whole = asset.add_batch_definition_whole_dataframe("whole")
    suite = context.suites.add(gx.ExpectationSuite("loans", expectations=expectations(frame)))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name="loans", data=whole, suite=suite)
    )
    outcome = definition.run(
        batch_parameters={"dataframe": frame}, result_format={"result_format": "COMPLETE"}
    )
    flagged: set[int] = set()
    for result in outcome.results:
        flagged |= set(result.result.get("unexpected_index_list") or [])
    return flagged


def label_errors(frame: Any) -> set[int]:
    """Find label errors: 5-fold logistic regression and cleanlab's default filter."""
    from cleanlab.filter import find_label_issues
    from sklearn.compose import ColumnTransformer
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers, texts = _present(frame, NUMBERS), _present(frame, TEXTS)
    categories = [name for name in VALID if name in frame and name != LABEL]
    known = frame.assign(**{name: frame[name].fillna("") for name in texts})
    steps = [
        ("numbers", make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
        ("categories", OneHotEncoder(handle_unknown="ignore"), categories),
        *[(name, TfidfVectorizer(max_features=2000), name) for name in texts],
    ]
    model = make_pipeline(ColumnTransformer(steps), LogisticRegression(max_iter=300))
    labels = (known[LABEL] == "yes").astype(int).to_numpy()
    chances = cross_val_predict(model, known, labels, cv=5, method="predict_proba")
    return set(known.index[find_label_issues(labels, chances, n_jobs=1)])


def outliers(frame: Any) -> set[int]:
    """Flag what IsolationForest calls an outlier by its automatic threshold."""
    from sklearn.ensemble import IsolationForest
    from sklearn.impute import SimpleImputer

    values = SimpleImputer(strategy="median").fit_transform(frame[_present(frame, NUMBERS)])
    marks = IsolationForest(contamination="auto", random_state=0).fit_predict(values)
    return set(frame.index[marks == -1])


def personal_data(frame: Any) -> set[int]:
    """Scan each text with Presidio's default recognizers over a blank spaCy pipeline."""
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    class BlankEngine(SpacyNlpEngine):
        """Presidio's documented way to bring one's own spaCy pipeline."""

        def __init__(self) -> None:
            super().__init__()
            self.nlp = {"en": spacy.blank("en")}

    analyzer = AnalyzerEngine(nlp_engine=BlankEngine(), supported_languages=["en"])
    wanted = sorted(set(analyzer.get_supported_entities("en")) - UNWANTED)
    flagged: set[int] = set()
    for name in _present(frame, TEXTS):
        for row, text in frame[name].dropna().items():
            if analyzer.analyze(text=text, language="en", entities=wanted, score_threshold=0.4):
                flagged.add(row)
    return flagged


def judged(flags: dict[str, set[int]], truth_path: Path, rows: int) -> dict[str, Any]:
    """Compare flags with the truth: recall a kind, false alarms a step and in all."""
    import pandas as pd

    truth = pd.read_parquet(truth_path)
    planted = set(truth["row"])
    union = set().union(*flags.values())
    recall = {
        kind: round(len(union & set(part["row"])) / len(part), 3)
        for kind, part in truth.groupby("kind")
    }
    alarms = {name: round(len(found - planted) / (rows - len(planted)), 5)
              for name, found in ({"all": union} | flags).items()}  # fmt: skip
    return {"recall": recall, "false_alarm_rate": alarms}


def _present(frame: Any, names: list[str]) -> list[str]:
    return [name for name in names if name in frame]


def main() -> None:
    """Run all steps in turn and print what they took and found."""
    parser = argparse.ArgumentParser(description="The glue script that Assay replaces.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--source", default="data.csv", help="name of the CSV in the folder")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    start = time.perf_counter()
    with step("imports"):
        for name in ("pandas", "great_expectations", "cleanlab.filter", "sklearn.ensemble"):
            importlib.import_module(name)
        importlib.import_module("presidio_analyzer")
    flags: dict[str, set[int]] = {}
    with step("read"):
        frame, flags["read"] = read(given.folder / given.source)
    with step("expectations"):
        flags["expectations"] = validate(frame)
    sound = frame.drop(index=list(flags["read"] | flags["expectations"]))
    for name, find, part in [
        ("labels", label_errors, sound),  # neither takes infinite or absurd numbers
        ("outliers", outliers, sound),
        ("personal_data", personal_data, frame),
    ]:
        with step(name):
            flags[name] = find(part)
    with step("write"):
        given.out.mkdir(parents=True, exist_ok=True)
        is_held = frame.index.isin(set().union(*flags.values()))
        frame[~is_held].to_parquet(given.out / "clean.parquet")
        frame[is_held].to_parquet(given.out / "quarantine.parquet")
    SECONDS["total"] = round(time.perf_counter() - start, 3)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    told = {"rows": len(frame), "seconds": SECONDS, "peak_mb": peak}
    told["flagged"] = {name: len(found) for name, found in flags.items()}
    if (truth := given.folder / "truth.parquet").exists():
        told |= judged(flags, truth, len(frame))
    print(json.dumps(told, ensure_ascii=False))


if __name__ == "__main__":
    main()
