"""Forty nights of twenty columns: what drift sees of sudden and slow shifts, and of seasons.

    python benchmarks/nights.py [--rows 2000] [--nights 40] [--streams 20] [--seeds 1]

Each table has 20 columns, each with its own shape. Every night goes through the real check, with
the memory of the nights before it, as a run keeps it in the ledger. `seen`: streams with an error
at the night of the change (sudden) or at any night (slow). False alarms are nights of a stream
with an error although nothing shifted; warnings are told apart, and so is what the classifier says
of a whole night, in which all columns move at once.
"""

import argparse
import dataclasses
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parents[1]))

from checks.drift import Drift
from checks.kit.contract_model import Column, Contract
from checks.kit.protocol import Context
from provenance.rows.column_types import ColumnSpec
from provenance.rows.shards import Shard

REFERENCE_ROWS = 8_000
SUDDEN_NIGHT = 20  # 0-based: by then the memory has twenty nights


@dataclasses.dataclass(frozen=True)
class Scene:
    """How the mean of a column moves, in its standard deviations, given night and phase."""

    name: str
    shift: object
    begins: int | None  # first night of a change, None where nothing changes


def scenes():
    """Return every kind of night course."""
    week, month = 2 * np.pi / 7, 2 * np.pi / 28
    made = [Scene("nothing", lambda _, p: 0 * p, None)]
    made += [
        Scene(f"sudden {size}", lambda n, p, s=size: s * (n >= SUDDEN_NIGHT) + 0 * p, SUDDEN_NIGHT)
        for size in (0.4, 0.5, 1.0)
    ]
    made.append(Scene("slow 0.01 a night", lambda n, p: 0.01 * (n + 1) + 0 * p, 0))
    made.append(
        Scene(
            "slow 0.01, weekly sine 0.2",
            lambda n, p: 0.01 * (n + 1) + 0.2 * np.sin(week * (n + p)),
            0,
        )
    )
    for size in (0.1, 0.2):
        made.append(
            Scene(f"weekly sine {size}", lambda n, p, s=size: s * np.sin(week * (n + p)), None)
        )
        made.append(
            Scene(
                f"weekend step {size}",
                lambda n, p, s=size: s * (((n + np.floor(p)) % 7) < 2) - s * 2 / 7,
                None,
            )
        )
    made.append(Scene("28 nights 0.1", lambda n, p: 0.1 * np.sin(month * (n + 4 * p)), None))
    return made


def drawn(rng, rows, shifts):
    """Return a table: a column of each of four shapes in turn, each shifted by its own mean."""
    columns = {}
    for number, shift in enumerate(shifts):
        normal = rng.normal(size=rows) + shift
        shape = (lambda x: x, np.exp, lambda x: np.round(2 * x), lambda x: x**3 / 3)[number % 4]
        columns[f"c{number:02}"] = shape(normal)
    return pa.table(columns)


def night(table, reference, history):
    """Return findings and memory of one night."""
    columns = tuple(Column(ColumnSpec(name, "number")) for name in table.column_names)
    contract = Contract("nights", "1", "contract.yaml", "", columns)
    context = Context(
        contract, table.schema, len(table), reference, history={"drift": tuple(history)}
    )
    check = Drift(context)
    marks = np.random.default_rng(len(history)).integers(0, 256, (len(table), 32), dtype=np.uint8)
    shard = Shard(0, table, np.arange(len(table)), marks)
    model = check.finish(check.fit(shard))
    return model.overall.to_pylist(), model.memory


def course(scene, rows, streams, nights, seed):
    """Return which streams had an error and a warning each night: bool, (nights, streams).

    What is said of the whole night, not of a column, stands in a last column.
    """
    rng = np.random.default_rng(seed)
    reference = drawn(rng, REFERENCE_ROWS, np.zeros(streams))
    phases = rng.uniform(0, 7, streams)
    errors, warnings = np.zeros((2, nights, streams + 1), bool)
    history = []
    for number in range(nights):
        found, memory = night(drawn(rng, rows, scene.shift(number, phases)), reference, history)
        for item in found:
            kind = errors if item["severity"] == "error" else warnings
            kind[number, int(item["column"][1:]) if item["column"] else -1] = True
        history.append({"run": number + 1, "time": "2026-01-01", **memory})
    return errors, warnings


def told(scene, rows, streams, nights, seeds):
    """Print one line for a scene."""
    both = [course(scene, rows, streams, nights, seed) for seed in range(seeds)]
    whole = [sum(int(pair[side][:, -1].sum()) for pair in both) for side in (0, 1)]
    errors, warnings = (
        np.concatenate([pair[side][:, :-1] for pair in both], axis=1) for side in (0, 1)
    )
    count = errors.shape[1]
    per = 800 / errors.size
    if scene.begins is None:
        text = (
            f"false alarms {errors.sum() * per:5.2f} in 800 nights ({errors.sum()} in"
            f" {errors.size:,}), warnings {warnings.sum() * per:6.2f}"
        )
    else:
        before = int(errors[: scene.begins].sum())
        seen = errors[scene.begins :].any(0)
        first = errors[scene.begins :].argmax(0)[seen] + 1
        text = (
            f"seen {seen.sum()} of {count}, first alarm in night {np.median(first):.0f} of it"
            f" (median), {first.min()} to {first.max()}; the same night {int((first == 1).sum())};"
            f" before it {before} alarms"
        )
    nights = f"; of {len(both) * nights} whole nights {whole[0]} errors, {whole[1]} warnings"
    print(f"{rows:6} rows  {scene.name:28} {text}{nights}", flush=True)


def main():
    """Print all scenes for each number of rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[300, 2_000, 20_000])
    parser.add_argument("--nights", type=int, default=40)
    parser.add_argument("--streams", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", default="", help="scenes whose name has this in it")
    given = parser.parse_args()
    start = time.perf_counter()
    for rows in given.rows:
        for scene in scenes():
            if given.only in scene.name:
                told(scene, rows, given.streams, given.nights, given.seeds)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
