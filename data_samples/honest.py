"""Honest loans: a seeded draw of a consumer-loans table with the faults of life and no others.

Skew (income is log-normal), correlations (age and income, income and amount, risk and rate),
missing values, and classes that overlap: the label is drawn from each row's chance of default.
"""

import datetime as dt
from typing import NamedTuple

import notes
import numpy as np
import pyarrow as pa

BRANCHES = {
    "Oslo": "east", "Drammen": "east", "Hamar": "east", "Bergen": "west", "Stavanger": "west",
    "Ålesund": "west", "Kristiansand": "south", "Arendal": "south", "Trondheim": "centre",
    "Molde": "centre", "Tromsø": "north", "Bodø": "north",
}  # fmt: skip
PURPOSES = {
    "car": 0.30,
    "home": 0.24,
    "debt": 0.20,
    "studies": 0.10,
    "medical": 0.09,
    "travel": 0.07,
}
TERMS = np.array([12, 24, 36, 48, 60, 72, 84])
CODES = {"C1": 0.19, "C2": 0.43, "C3": 0.38}
OVERLAP = 2.5  # the higher, the less the classes overlap; 2.5 leaves about 5 % of rows to chance
BY_PURPOSE = {"debt": 0.55, "travel": 0.25, "home": -0.35, "studies": 0.1}
BY_JOB = {"contract": 0.45, "self-employed": 0.35, "student": 0.3, "retired": -0.3}


class Draw(NamedTuple):
    """A table and each row's true chance of default (float, in [0, 1], shape (n,))."""

    table: pa.Table
    risk: np.ndarray


def draw(
    rows: int, seed: int, *, first_key: int = 0, first_day: str = "2026-01-05", drifts: bool = False
) -> Draw:
    """Draw honest loans, 60 days of them in order of time.

    Args:
        rows: number of rows, > 0.
        seed: of everything random.
        first_key: number in the first row's loan_id.
        first_day: ISO date of the first application.
        drifts: draw from a changed world: incomes up, a new purpose, more defaults.
    """
    rng = np.random.default_rng(seed)
    people = _people(rng, rows, 1.3 if drifts else 1.0)
    loans = _loans(rng, people, drifts=drifts)
    logit = _logit(people, loans) + (2.0 if drifts else 0.0)
    risk = 1 / (1 + np.exp(-logit))
    rate = (
        4.6 + 1.9 * np.tanh(0.16 * (logit + 5.0)) + 2.2 * loans["ratio"] + rng.normal(0, 0.7, rows)
    )
    days = np.sort(rng.integers(0, 60, rows)) + dt.date.fromisoformat(first_day).toordinal()
    text = notes.write(rng, loans["purpose"], risk)
    blank = {name: rng.random(rows) < p for name, p in _MISSING.items()}
    dates = [dt.date.fromordinal(day) for day in days.tolist()]
    columns = {
        "loan_id": pa.array([f"L-{number:06d}" for number in range(first_key, first_key + rows)]),
        "applied_at": pa.array(dates, pa.date32()),
        "branch": pa.array(people["branch"]),
        "age": pa.array(people["age"]),
        "income": pa.array(people["income"], mask=blank["income"]),
        "amount": pa.array(loans["amount"]),
        "term_months": pa.array(loans["term"]),
        "rate": pa.array(np.round(np.clip(rate + 2, 2.9, 19.9), 2)),
        "late_payments": pa.array(people["late"]),
        "employment": pa.array(people["job"], mask=blank["employment"]),
        "purpose": pa.array(loans["purpose"]),
        "region": pa.array([BRANCHES[name] for name in people["branch"].tolist()]),
        "note": pa.array(text, pa.string(), mask=blank["note"]),
        "queue_code": pa.array(rng.choice(list(CODES), rows, p=list(CODES.values()))),
        "defaulted": pa.array(np.where(rng.random(rows) < risk, "yes", "no")),
    }
    return Draw(pa.table(columns), risk)


_MISSING = {"income": 0.012, "employment": 0.006, "note": 0.015}


def _people(rng: np.random.Generator, rows: int, raise_: float) -> dict[str, np.ndarray]:
    age = np.clip(np.round(18 + rng.gamma(2.6, 8.8, rows)), 18, 79).astype(np.int64)
    usual = rng.choice(["permanent", "contract", "self-employed"], rows, p=[0.70, 0.18, 0.12])
    chance = rng.random(rows)
    studies = (age < 28) & (chance < (28 - age) / 13)
    retired = (age >= 67) | ((age > 60) & (chance < (age - 60) / 9))
    job = np.where(studies, "student", np.where(retired, "retired", usual))
    spread = np.where(job == "self-employed", 0.36, 0.24)
    mean = 10.05 + 0.026 * (np.minimum(age, 54) - 18) - 0.35 * studies - 0.30 * retired
    income = np.exp(rng.normal(mean, spread)) * raise_
    income = np.round(np.clip(income, 9_000, np.where(age < 23, 48_000, 240_000)))
    late = np.minimum(rng.poisson(rng.gamma(0.55, 1.15, rows)), 9)
    branch = rng.choice(list(BRANCHES), rows, p=_shares(len(BRANCHES)))
    people = {"age": age, "job": job, "late": late.astype(np.int64), "branch": branch}
    return people | {"income": income.astype(np.int64)}


def _loans(
    rng: np.random.Generator, people: dict[str, np.ndarray], *, drifts: bool
) -> dict[str, np.ndarray]:
    rows = len(people["age"])
    shares = PURPOSES | ({"solar": 0.05} if drifts else {})
    weights = np.array(list(shares.values()))
    purpose = rng.choice(list(shares), rows, p=weights / weights.sum())
    shift = np.select([purpose == "car", purpose == "home", purpose == "travel"], [0.2, 0.3, -0.4])
    ratio = np.clip(np.exp(rng.normal(-1.15 + shift, 0.40, rows)), 0.05, 1.1)
    amount = np.maximum(np.round(ratio * people["income"] / 50) * 50, 500).astype(np.int64)
    step = np.round(1.2 + 3.6 * ratio + 0.8 * (purpose == "home") + rng.normal(0, 0.9, rows))
    term = TERMS[np.clip(step, 0, len(TERMS) - 1).astype(int)]
    return {"purpose": purpose, "amount": amount, "term": term, "ratio": ratio}


def _logit(people: dict[str, np.ndarray], loans: dict[str, np.ndarray]) -> np.ndarray:
    by_job = np.array([BY_JOB.get(name, 0.0) for name in people["job"].tolist()])
    by_purpose = np.array([BY_PURPOSE.get(name, 0.0) for name in loans["purpose"].tolist()])
    money = 2.6 * (loans["ratio"] - 0.35) - 0.9 * np.log(people["income"] / 36_000)
    worry = 1.5 * (money + by_job + by_purpose) - 0.018 * (people["age"] - 40)
    logit: np.ndarray = OVERLAP * (-3.0 + 1.6 * people["late"] + worry)
    return logit


def _shares(count: int) -> np.ndarray:
    weights = 1 / np.arange(1, count + 1) ** 0.5
    shares: np.ndarray = weights / weights.sum()
    return shares
