"""Columns of codes that look like personal data are told once; real data are held as before."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import tables

from checks.kit import findings
from checks.pii import Pii

ROWS = 300


def digits(rng, count):
    return "".join(map(str, rng.integers(0, 10, count)))


def luhn(body):
    """Return digits with the check digit of a card."""
    doubled = [int(d) * (2 - n % 2) for n, d in enumerate(reversed(body))]
    return body + str(-sum(sum(divmod(d, 10)) for d in doubled) % 10)


def ean(rng):
    body = "40" + digits(rng, 10)
    total = sum(int(d) * (3 if n % 2 else 1) for n, d in enumerate(body))
    return body + str(-total % 10)


def iban(rng):
    bank = digits(rng, 18)
    return f"DE{98 - int(bank + '131400') % 97:02d}{bank}"


def version(rng):
    return ".".join(str(rng.integers(0, top)) for top in (12, 20, 10, 250))


def build(rng):
    return f"{rng.integers(90, 130)}.0.{rng.integers(100, 7000)}.{rng.integers(1, 250)}"


CODES = {
    "versions": (version, "IP_ADDRESS"),
    "builds": (build, "IP_ADDRESS"),
    "article numbers": (ean, "CREDIT_CARD"),
    "orders": (lambda rng: "4" + digits(rng, 15), "CREDIT_CARD"),
    "spaced orders": (lambda rng: " ".join(["5" + str(rng.integers(1, 6)) + digits(rng, 2),
                                            *(digits(rng, 4) for _ in range(3))]), "CREDIT_CARD"),
    "parcels": (lambda rng: " ".join(["94" + digits(rng, 2), *(digits(rng, 4) for _ in range(4)),
                                      digits(rng, 2)]), "CREDIT_CARD"),
    "references": (lambda rng: "DE" + digits(rng, 20), "IBAN_CODE"),
}  # fmt: skip
REAL = {
    "hosts of one network": lambda rng: f"5.9.{rng.integers(0, 256)}.{rng.integers(1, 255)}",
    "hosts": lambda rng: ".".join(map(str, [rng.integers(11, 100), *rng.integers(0, 256, 3)])),
    "cards": lambda rng: luhn("4" + digits(rng, 14)),
    "accounts": iban,
    "phones": lambda rng: f"+49 30 {rng.integers(200_000, 999_999)}{rng.integers(10, 99)}",
}


def column(make, rows=ROWS, seed=0):
    rng = np.random.default_rng(seed)
    return [make(rng) for _ in range(rows)]


def examined(values, name="field", cuts=(), **changed):
    """Return (number of rows held, overall warnings as (column, rule), the check, its findings)."""
    table = pa.table({name: pa.array(values, pa.string())})
    context = tables.context_for(table)
    one = dataclasses.replace(context.contract.columns[0], **changed)
    contract = dataclasses.replace(context.contract, columns=(one,))
    check = Pii(dataclasses.replace(context, contract=contract))
    shards = tables.cut(table, *cuts)
    states = [check.fit(shard) for shard in shards]
    while len(states) > 1:
        states.append(check.merge(states.pop(), states.pop(0)))
    model = check.finish(states[0])
    found = findings.concat([model.overall, *(check.score(shard, model) for shard in shards)])
    rows = {f["row"] for f in found.to_pylist() if f["severity"] == "error"}
    warned = [(f["column"], f["rule"]) for f in model.overall.to_pylist()]
    assert None not in rows
    return len(rows), warned, (table, contract, found)


@pytest.mark.parametrize("kind", CODES)
@pytest.mark.parametrize("seed", range(3))
def test_a_column_of_codes_is_told_once_and_holds_no_row(kind, seed):
    make, entity = CODES[kind]
    held, warned, (table, contract, found) = examined(column(make, seed=seed))
    assert (held, warned) == (0, [("field", f"pii.{entity}")])
    assert not any("." in text for text in found["evidence"].to_pylist())  # no cell, no digits
    clean = Pii.scan_clean(table, contract, found)
    assert "error" not in clean["severity"].to_pylist()
    assert "error" in Pii.scan_clean(table, contract)["severity"].to_pylist()


@pytest.mark.parametrize("kind", REAL)
@pytest.mark.parametrize("rows", [5, 40, ROWS])
def test_a_column_of_real_data_is_held(kind, rows):
    held, warned, _ = examined(column(REAL[kind], rows))
    assert (held, warned) == (rows, [])


def test_a_few_codes_are_too_few_to_tell():
    held, warned, _ = examined(column(version, 15))
    assert held > 0
    assert warned == []


def test_real_cards_among_order_numbers_are_held():
    orders = column(CODES["orders"][0], 200)
    cards = column(REAL["cards"], 60, seed=9)
    held, warned, _ = examined(orders + cards)
    assert held >= 60
    assert warned == []


def test_an_address_inside_a_text_is_held_in_a_column_of_versions():
    texts = ["see host 93.184.216.34 in the log"]
    held, warned, _ = examined(column(version) + texts)
    assert (held, warned) == (1, [("field", "pii.IP_ADDRESS")])


def test_a_name_that_announces_the_data_decides():
    held, warned, _ = examined(column(version), name="client_ip")
    assert held > ROWS / 2
    assert warned == []


def test_the_contract_decides():
    held, warned, _ = examined(column(version), is_personal=True)
    assert held > ROWS / 2
    assert warned == []
    assert examined(column(version), is_personal=True, pii="allow")[:2] == (0, [])


@pytest.mark.parametrize("cuts", [(1,), (100, 100), (299,)])
def test_the_cut_into_shards_changes_nothing(cuts):
    values = column(CODES["orders"][0], 1_500)
    whole = examined(values)
    cut = examined(values, cuts=cuts)
    assert whole[:2] == cut[:2]
    assert findings.ordered(whole[2][2]).equals(findings.ordered(cut[2][2]))


def test_init_says_that_the_column_may_be_codes():
    context = tables.context_for(pa.table({"field": ["a"]}))
    texts = pa.array(column(version))
    [comment] = Pii.suggest(context.contract.columns[0], texts)
    assert "assay.pii to allow or quarantine" in comment
