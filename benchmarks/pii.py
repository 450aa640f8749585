"""Speed and quality of the scan for personal data, against plain Presidio row by row.

    python benchmarks/pii.py TEXTS.json [--rows N] [--rounds N]
    python benchmarks/pii.py --column [--rows N] [--rounds N]    one column against one RE2 pass
    python benchmarks/pii.py --table                   write checks/pii/gates.json anew

TEXTS.json is generated_large.json of presidio-research. Both sides search the same entities at
the same threshold on the same blank tokenizer and take turns, so that a noisy machine hits both;
figures are medians of the rounds, ratios of wall and of process time. `raw` is equal to Presidio's
results, which is checked; `scan` adds secrets, disguises and the decision. See also
benchmarks/pii_equal.py and benchmarks/pii_disguises.py.
"""

import argparse
import json
import multiprocessing
import random
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tests")]

import presidio_plain  # noqa: E402
import pyarrow as pa  # noqa: E402
import regex  # noqa: E402

from checks.pii import prefilters  # noqa: E402
from checks.pii.recognizers import CLASSES, analyzer  # noqa: E402
from checks.pii.scan import raw_hits, scan  # noqa: E402
from checks.pii.settings import ENTITIES, Settings  # noqa: E402

WORDS = tuple(
    word
    for line in (
        "the delivery was late again and nobody answered our questions about it so we asked",
        "for the money back please send another one soon thanks good service would buy more",
    )
    for word in line.split()
)
PLANTED = [
    "joe.bloggs@example.com",
    "4111 1111 1111 1111",
    "219-09-9999",
    "(212) 555-0187",
    "GB82 WEST 1234 5698 7654 32",
]
NUMBERS = [
    "loan L-2024-{:06d}",
    "paid {:d}.50 EUR",
    "on 2024-03-{:02d}",
    "order {:010d}",
    "{:d} items",
    "at 10:{:02d}",
]
STORED = sorted(set(CLASSES) - {"DATE_TIME", "URL"})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("texts", nargs="?")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--column", action="store_true")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if given.table:
        write_table()
        return
    if given.column:
        ceiling(given.rows, given.rounds)
        return
    with presidio_plain.plain() as plain:
        speed("notes, no digits, 0.5 % PII", notes(given.rows, digits=0.0), plain, given.rounds)
        speed("notes, half with digits", notes(given.rows, digits=0.5), plain, given.rounds)
        if given.texts:
            entries = json.loads(Path(given.texts).read_text("utf-8"))
            speed("generated_large", [e["full_text"] for e in entries], plain, given.rounds)
            quality(entries, plain)


def notes(rows, *, digits):
    rng = random.Random(1)  # noqa: S311 - a workload, not a secret
    out = []
    for row in range(rows):
        words = rng.choices(WORDS, k=rng.randint(5, 12))
        if rng.random() < digits:
            words.insert(3, rng.choice(NUMBERS).format(rng.randrange(1, 28)))
        if row % 200 == 0:
            words.insert(2, rng.choice(PLANTED))
        out.append(" ".join(words))
    return out


def speed(name, texts, plain, rounds):
    column = pa.array(texts, pa.string())
    some = texts[: max(2_000, len(texts) // 10)]
    raw_only = Settings(secrets=False)
    works = {
        "plain": (len(some), lambda: [plain(text) for text in some]),
        "raw": (len(texts), lambda: raw_hits(column, "text", raw_only)),
        "scan": (len(texts), lambda: scan(column, "text", Settings())),
    }
    walls, cpus = ({key: [] for key in works} for _ in range(2))
    raw_hits(column, "text", raw_only)
    for _ in range(rounds):
        results = {}
        for key, (count, work) in works.items():
            results[key], wall, cpu = clocked(work)
            walls[key].append(wall / count)
            cpus[key].append(cpu / count)
        if [results["raw"].get(at, []) for at in range(len(some))] != results["plain"]:
            raise SystemExit(f"{name}: results differ from Presidio's")
    rates = ", ".join(f"{key} {1 / statistics.median(walls[key]):,.0f}/s" for key in works)
    print(f"{name}: {len(texts):,} texts; {rates}")
    for key in ("raw", "scan"):
        shown = [
            f"{clock} x{statistics.median(ratios):.1f} (from x{min(ratios):.1f})"
            for clock, times in (("wall", walls), ("process time", cpus))
            for ratios in [[a / b for a, b in zip(times["plain"], times[key], strict=True)]]
        ]
        print(f"  {key} faster than Presidio: {', '.join(shown)}", flush=True)


def clocked(work):
    """Return (result, wall seconds, seconds of this process on a core)."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def quality(entries, plain):
    texts = [entry["full_text"] for entry in entries]
    found = scan(pa.array(texts, pa.string()), "full_text", Settings())
    ours = [
        [(hit.entity, hit.start, hit.end, verdict) for hit, verdict in found[at].hits]
        if at in found
        else []
        for at in range(len(texts))
    ]
    theirs = [[(h.entity, h.start, h.end, "error") for h in plain(text)] for text in texts]
    truth = [
        [(s["entity_type"], s["start_position"], s["end_position"]) for s in entry["spans"]]
        for entry in entries
    ]
    print("type, n, then recall and precision of errors, of errors and warnings, of Presidio")
    for entity in ENTITIES:
        n = sum(kind == entity for spans in truth for kind, *_ in spans)
        figures = [
            figure(entity, truth, ours, {"error"}),
            figure(entity, truth, ours, {"error", "warning"}),
            figure(entity, truth, theirs, {"error"}),
        ]
        print(f"  {entity:16} {n:4}  " + "   ".join(figures))


def figure(entity, truth, found, verdicts):
    counts = Counter()
    for spans, hits in zip(truth, found, strict=True):
        mine = [(low, high) for kind, low, high in spans if kind == entity]
        got = [(low, high) for kind, low, high, v in hits if kind == entity and v in verdicts]
        counts["n"] += len(mine)
        counts["got"] += len(got)
        counts["recalled"] += sum(any(half(span, hit) for hit in got) for span in mine)
        counts["right"] += sum(any(half(span, hit) for span in mine) for hit in got)
    recall = f"{counts['recalled'] / counts['n']:.2f}" if counts["n"] else "-"
    precision = f"{counts['right'] / counts['got']:.2f}" if counts["got"] else "-"
    return f"{recall:>4} {precision:>4}"


def half(span, hit):
    return min(span[1], hit[1]) - max(span[0], hit[0]) >= (span[1] - span[0]) / 2


def ceiling(rows, rounds, processes=2):
    """Scan a large column in processes, beside one RE2 pass over it in the same processes."""
    texts = notes(rows, digits=0.5)
    size = -(-rows // (4 * processes))
    parts = [pa.array(texts[at : at + size], pa.string()) for at in range(0, rows, size)]
    walls, cpus = {"RE2": [], "scan": []}, {"RE2": [], "scan": []}
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        pool.map(scanned, [p.slice(0, 2_000) for p in parts], chunksize=1)  # imports, patterns
        for _ in range(rounds):
            for key, work in (("RE2", matched), ("scan", scanned)):
                start = time.perf_counter()
                cpus[key].append(sum(pool.map(work, parts, chunksize=1)))
                walls[key].append(time.perf_counter() - start)
    scan_s, cpu = statistics.median(walls["scan"]), statistics.median(cpus["scan"])
    ratios = [a / b for a, b in zip(cpus["scan"], cpus["RE2"], strict=True)]
    print(
        f"{rows:,} notes, half with digits, in {processes} processes: {rows / scan_s:,.0f} texts/s "
        f"by the wall, {processes * rows / cpu:,.0f} by process time; "
        f"{statistics.median(ratios):.0f} times the process time of one RE2 pass"
    )


def matched(column):
    return clocked(lambda: prefilters.matches(column, r"[0-9@]"))[2]


def scanned(column):
    return clocked(lambda: scan(column, "text", Settings()))[2]


def write_table():
    digits = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and is_digit(chr(c))]
    runs = []
    for code in digits:
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    ranges = "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in runs)
    derived = prefilters.derive(analyzer(tuple(STORED), 0.4, 500_000))
    prefilters.PATH.write_text(prefilters.text_of(ranges, derived), "utf-8")
    print(f"{prefilters.PATH}: {len(derived)} entities")


def is_digit(char):
    return regex.fullmatch(r"\d", char) is not None


if __name__ == "__main__":
    main()
