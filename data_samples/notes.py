"""Free text for the sample loans: what a clerk types, 5 to 20 words, mostly never twice.

A note is an opening, a matter and often a close; the matter is a worried one more often when
the loan is risky, so the text says a little about the label and never all of it. Numbers are
honest ones: instalments, quotes, years. No names, no addresses: those are planted elsewhere.
"""

import numpy as np

OPENINGS = (
    "Applicant asks for", "Came in about", "Called twice about", "Wrote to us for", "Wants",
    "Second request for", "Existing customer seeks", "Referred by the dealer for",
    "Walked in to discuss", "Phoned this morning about", "Renewal of", "Online form for",
    "Joint request with partner for", "Talked over", "Sent papers for", "Repeat customer wants",
    "Asked again about", "Made an appointment for", "New customer looking for", "Follow-up on",
)  # fmt: skip
THINGS = {
    "car": (
        "a used estate car", "a small electric car", "a van for work", "winter tyres and a repair",
        "a family car", "a first car", "a car from auction", "an older diesel",
        "a hybrid hatchback",
    ),
    "home": (
        "a new bathroom", "roof repair before winter", "a heat pump", "new windows",
        "a kitchen from the spring offer", "a terrace and a fence", "drainage work",
        "insulating the attic", "an extra bedroom",
    ),
    "debt": (
        "merging three small loans", "paying off two cards", "moving a loan from another bank",
        "one monthly sum instead of five", "clearing an overdraft", "a cheaper rate on old loans",
    ),
    "studies": (
        "a nursing course", "tuition for the last term", "a laptop and books",
        "a year abroad", "a welding certificate", "a part-time degree", "evening classes",
    ),
    "medical": (
        "dental work", "eye surgery", "a hearing aid", "physiotherapy after a fall",
        "a private knee scan", "treatment not covered by the scheme", "orthodontics for a child",
    ),
    "travel": (
        "a family visit overseas", "a honeymoon", "a caravan trip", "flights and a cabin",
        "a long planned journey", "a pilgrimage with parents", "a sailing summer",
    ),
    "solar": ("panels for a barn roof", "a battery and an inverter", "solar roof tiles"),
}  # fmt: skip
CALM = (
    "papers complete", "salary slips match", "savings cover {m} months", "no open questions",
    "deposit of {k} paid", "same employer for {y} years", "owns the flat", "quote of {k} attached",
    "paid {m} instalments early", "guarantor signed", "budget looks sound", "tax return seen",
    "steady hours for {y} years", "references are good", "older loan closed in {m} months",
    "income confirmed by employer", "rent is low", "insurance in place",
)  # fmt: skip
WORRIED = (
    "rent is {w} weeks late", "overtime has stopped", "two cards near the limit",
    "missed {m} instalments last year", "between jobs since spring", "budget is very tight",
    "already owes {k} elsewhere", "asked for a payment break", "partner lost work",
    "contract ends in {m} months", "slips missing for {m} months", "wants the longest term",
)  # fmt: skip
CLOSES = (
    "call back on Monday", "will send the rest by post", "decide this week", "no hurry",
    "prefers e-mail to letters", "needs an answer before the sale", "asked about early repayment",
    "colleague to double check", "first payment in {m} weeks", "happy with the rate",
    "compare with the offer from {y} months ago", "wants a fixed rate", "see the earlier file",
    "visit went well", "asks to move the due date to the {w}th", "told about the cooling-off days",
    "keep the old account open", "scan is hard to read", "copies returned", "clerk on leave, wait",
)  # fmt: skip
JOINTS = ("; ", ", ", ". ", " - ", ": ")


def write(rng: np.random.Generator, purposes: np.ndarray, risk: np.ndarray) -> list[str]:
    """Return one note a row.

    Args:
        rng: source of all choices.
        purposes: str, shape (n,), keys of THINGS.
        risk: chance of default, in [0, 1], shape (n,).
    """
    rows = len(purposes)
    worried = rng.random(rows) < 0.15 + 0.5 * risk
    picks = rng.integers(0, 1 << 30, (rows, 6))
    shape = rng.random(rows)
    numbers = np.column_stack(
        [rng.integers(2, 12, rows), rng.integers(2, 19, rows), rng.integers(4, 160, rows) * 50]
    )
    wordings = [WORRIED if one else CALM for one in worried.tolist()]
    lines = zip(
        purposes.tolist(), wordings, picks.tolist(), shape.tolist(), numbers.tolist(),
        strict=True,
    )  # fmt: skip
    return [_line(*line) for line in lines]


def _line(
    purpose: str, matters: tuple[str, ...], pick: list[int], shape: float, numbers: list[int]
) -> str:
    opening, thing, matter, close, joint, second = pick
    things = THINGS[purpose]
    text = f"{OPENINGS[opening % len(OPENINGS)]} {things[thing % len(things)]}"
    text += JOINTS[joint % len(JOINTS)] + matters[matter % len(matters)]
    if shape < 0.35:
        text += JOINTS[second % len(JOINTS)] + CLOSES[close % len(CLOSES)]
    months, years, sum_ = numbers
    return text.format(m=months, y=years, w=months, k=sum_)
