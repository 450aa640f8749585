"""How many disguises the scan sees through, and how often it takes honest codes for personal data.

    python benchmarks/pii_disguises.py [--each N]

The disguises are those of tests/disguises.py: forty kinds, each with several values in several
sentences, and a kind counts only if all of them are found. The honest texts are those of
tests/honest_codes.py: base64, hexadecimal ids, hashes, UUIDs, order numbers, URLs. Prints also what
undoing disguises costs, as a share of the process time of the scan.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

import disguises  # noqa: E402
import honest_codes  # noqa: E402
import pyarrow as pa  # noqa: E402
from pii import clocked, notes  # noqa: E402

from checks.pii.scan import scan  # noqa: E402
from checks.pii.settings import Settings  # noqa: E402


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=1_000, help="honest texts of each kind")
    given = parser.parse_args()
    kinds()
    alarms(given.each)
    cost()


def kinds():
    cases = disguises.cases()
    texts = pa.array([case.text for case in cases])
    for name, options in (("raw alone", {"disguised": False}), ("scan", {})):
        found = scan(texts, "note", Settings(**options))
        entities = [
            {h.entity for h, _ in found[at].hits} if at in found else set()
            for at in range(len(cases))
        ]
        missed = Counter(
            c.kind for c, got in zip(cases, entities, strict=True) if c.entity not in got
        )
        print(
            f"{name}: {len(disguises.KINDS) - len(missed)} of {len(disguises.KINDS)} kinds, "
            f"{len(cases) - missed.total()} of {len(cases)} texts"
        )
        if name == "scan":
            for kind, count in missed.items():
                print(f"  missed {count}: {kind}")


def alarms(each):
    cases = honest_codes.cases(each, seed=1)
    found = scan(pa.array([text for _, text in cases]), "note", Settings())
    counts = {"error": Counter(), "warning": Counter()}
    for at, hits in found.items():
        worst = "error" if any(verdict == "error" for _, verdict in hits.hits) else "warning"
        counts[worst][cases[at][0]] += 1
    for severity, by_kind in counts.items():
        share = by_kind.total() / len(cases)
        shown = ", ".join(f"{kind} {count / each:.1%}" for kind, count in by_kind.most_common())
        print(f"false alarms, {severity}: {share:.2%} of {len(cases):,}; {shown or 'none'}")


def cost():
    for name, texts in (
        ("notes", notes(50_000, digits=0.5)),
        ("honest codes", [text for _, text in honest_codes.cases(300, seed=2)]),
    ):
        column, shares = pa.array(texts, pa.string()), []
        for _ in range(3):
            _, _, whole = clocked(lambda column=column: scan(column, "text", Settings()))
            _, _, less = clocked(
                lambda column=column: scan(column, "text", Settings(disguised=False))
            )
            shares.append(1 - less / whole)
        print(
            f"undoing disguises: {sorted(shares)[1]:.0%} of the process time of the scan of {name}"
        )


if __name__ == "__main__":
    main()
