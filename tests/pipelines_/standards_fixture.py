"""A run and a release over two small files, made through the command line once for all tests."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path

ASSAY = str(Path(sys.executable).parent / "assay")
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
name: letters
version: "1.2"
tenant: Example Post
description: {purpose: Letters to sort., limitations: Made up.}
authoritativeDefinitions:
  - {type: license, url: "https://spdx.org/licenses/CC0-1.0"}
  - {type: homepage, url: "https://example.org/letters"}
customProperties:
  - {property: assay.reference, value: trusted.csv}
schema:
  - name: letters
    properties:
      - {name: id, logicalType: integer, primaryKey: true, description: Number of the letter.}
      - {name: "size in g", logicalType: number}
      - {name: stamped, logicalType: boolean}
      - {name: day, logicalType: date}
      - {name: at, logicalType: timestamp}
      - {name: o'clock, logicalType: time}
      - {name: Füße, logicalType: integer}
      - name: letter
        logicalType: string
        customProperties:
          - {property: assay.pii, value: pseudonymise}
      - name: kind
        logicalType: string
        customProperties:
          - {property: assay.role, value: label}
        quality:
          - {metric: invalidValues, mustBe: 0, arguments: {validValues: [near, far]}}
"""
HEADER = "id,size in g,stamped,day,at,o'clock,Füße,letter,kind"


@dataclasses.dataclass(frozen=True)
class Made:
    """What the commands left behind: folders of run 1 and of its release, and the events told."""

    home: Path
    run: Path
    release: Path
    events: list


def line(number):
    feet = "" if number % 7 == 0 else str(number % 5)
    size = "" if number % 11 == 0 else f"{number % 17}.5"
    told = (
        "please write to anna.berg@example.org" if number == 5 else f"plain words number {number}"
    )
    moment = f"2026-01-{number % 28 + 1:02d}"
    return (
        f"{number},{size},{'true' if number % 2 else 'false'},{moment},"
        f"{moment}T10:00:{number % 60:02d},09:{number % 60:02d}:00,{feet},{told},"
        f"{'near' if number % 17 > 8 else 'far'}"
    )


def csv(path, numbers):
    path.write_text("\n".join([HEADER, *map(line, numbers)]) + "\n")


def assay(home, *words, expect=(0,), **environment):
    """Run the command as a person would, in `home`; return what it printed."""
    done = subprocess.run(
        [ASSAY, *map(str, words)], capture_output=True, text=True, check=False, cwd=home,
        env={**os.environ, "XDG_CONFIG_HOME": str(home / "config"), **environment},
    )  # fmt: skip
    assert done.returncode in expect, done.stdout + done.stderr
    return done


def make(home):
    """Run, decide on three rows and release, telling events to a file."""
    (home / "in").mkdir()
    csv(home / "in" / "a.csv", range(120))
    csv(home / "in" / "b.csv", range(120, 220))
    csv(home / "trusted.csv", range(1000, 1300))
    with (home / "in" / "b.csv").open("a") as file:
        file.write(line(220).replace(",false,", ",perhaps,") + "\n")  # cannot be cast
        file.write(line(7) + "\n")  # the key of a row of a.csv
    (home / "contract.yaml").write_text(CONTRACT)
    told = {"ASSAY_OPENLINEAGE": str(home / "events.jsonl")}
    command = ["run", "contract.yaml", "--source", "in", "--store", "store", "--direct"]
    assay(home, *command, expect=(0, 1), **told)
    (home / "d.csv").write_text("row,decision,value\n3,relabel,near\n4,reject,\n7,release,\n")
    assay(home, "review", "1", "--apply", "d.csv", "--store", "store")
    assay(home, "release", "1", "--store", "store", expect=(0, 1), **told)
    events = [json.loads(text) for text in (home / "events.jsonl").read_text().splitlines()]
    runs = home / "store" / "runs"
    return Made(home, runs / f"{1:012}", runs / f"{3:012}", events)
