"""Whether the scan finds what plain Presidio finds: type, start, end and score.

    python benchmarks/pii_equal.py TEXTS.json [--notes N] [--fuzzed N] [--seed N]

Three sets of texts: TEXTS.json (generated_large.json of presidio-research); generated notes; and
strings mutated from what Presidio found in those and from the tests' seeds, with characters of
other scripts among them. Both sides have a deny list of names without digits added. Compared is
the raw pass, before secrets, disguises and the decision. Leaves with 1 if one text differs.
"""

import argparse
import json
import random
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent / "tests")]

import presidio_plain  # noqa: E402
import pyarrow as pa  # noqa: E402
from pii import clocked, notes  # noqa: E402

from checks.pii.scan import raw_hits  # noqa: E402
from checks.pii.settings import ENTITIES, Settings  # noqa: E402

ALL = (*ENTITIES, presidio_plain.DENIED)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts")
    parser.add_argument("--notes", type=int, default=50_000)
    parser.add_argument("--fuzzed", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = random.Random(given.seed)  # noqa: S311 - a workload, not a secret
    entries = json.loads(Path(given.texts).read_text("utf-8"))
    texts = [entry["full_text"] for entry in entries]
    half = given.notes // 2
    written = notes(half, digits=0.0) + notes(given.notes - half, digits=0.5)
    with presidio_plain.plain() as plain:
        unequal = compare("texts of the file", texts, plain)
        unequal += compare("generated notes", named(rng, written), plain)
        seeds = [*presidio_plain.SEEDS, *presidio_plain.NAMES, *matches(texts, plain)]
        fuzzed = [presidio_plain.mutated(rng, rng.choice(seeds)) for _ in range(given.fuzzed)]
        unequal += compare(f"fuzzed from {len(seeds)} matches", fuzzed, plain)
    raise SystemExit(unequal > 0)


def named(rng, texts):
    """Put a name of the deny list into every hundredth text."""
    return [
        f"{rng.choice(presidio_plain.NAMES)} {text}" if at % 100 == 0 else text
        for at, text in enumerate(texts)
    ]


def matches(texts, plain):
    """Return what Presidio finds, with what stands around it, so that context words count."""
    return [
        text[max(0, hit.start - 12) : hit.end + 4] for text in texts for hit in plain(text, ALL)
    ]


def compare(name, texts, plain):
    settings = Settings(entities=ALL, secrets=False)
    column = pa.array(texts, pa.string())
    found, _, fast = clocked(lambda: raw_hits(column, "text", settings))
    expected, _, slow = clocked(lambda: [plain(text, ALL) for text in texts])
    unequal = [at for at in range(len(texts)) if found.get(at, []) != expected[at]]
    for at in unequal[:5]:
        print(f"  {texts[at]!a}: {found.get(at, [])}, Presidio {expected[at]}")
    foreign = sum(not text.isascii() for text in texts)
    hits = sum(map(len, expected))
    denied = sum(hit.entity == presidio_plain.DENIED for many in expected for hit in many)
    print(
        f"{name}: {len(texts):,} ({foreign:,} not ASCII), {hits:,} hits ({denied:,} of the deny "
        f"list), unequal {len(unequal)}; process time 1/{slow / fast:.1f}",
        flush=True,
    )
    return len(unequal)


if __name__ == "__main__":
    main()
