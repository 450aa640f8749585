"""What Prefect costs a run: seconds over `--direct`, and the memory of its server.

`python benchmarks/prefect_overhead.py [--rounds N]` prints a table for docs/operations.md. Every
figure comes from a fresh process; the ways take turns, so that a busy machine hits them alike.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

CHILD = """
import json, os, sys, time
began = time.perf_counter()
from pipelines.orchestration.scheduler import Stage, run_direct
way, seconds = sys.argv[1], float(sys.argv[2])
told = {}

def work():
    told.setdefault("first", time.perf_counter() - began)

def spin():
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(range(1000))

order = [Stage("only", work)]
if way == "direct":
    spin()
    run_direct(order)
else:
    from pipelines.orchestration.server import PrefectServer
    with PrefectServer() as server:
        spin()
        from pipelines.orchestration.flow import run_flow
        run_flow(order, {}, server=server, name="one")
        start = time.perf_counter()
        run_flow(order, {}, server=server, name="two")
        told["again"] = time.perf_counter() - start
        if server.pid:
            status = open(f"/proc/{server.pid}/status").read()
            told["peak"] = int(status.partition("VmHWM:")[2].split()[0]) / 1024
        end = time.perf_counter()
    told["stop"] = time.perf_counter() - end
told["total"] = time.perf_counter() - began - told.get("again", 0.0)
print(json.dumps(told))
"""
BUSY = 5.0  # seconds of CPU that the parent spends while the server comes up


def measured(way, busy, env):
    words = [sys.executable, "-P", "-c", CHILD, way, str(busy)]
    done = subprocess.run(words, env=os.environ | env, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def against_running(env):
    from pipelines.orchestration.server_process import ServerProcess

    server = ServerProcess()
    try:
        server.wait(180)
        return measured("flow", 0, env | server.client)
    finally:
        server.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    ways = {
        name: []
        for name in ("direct", "direct busy", "first ever", "cold", "warm", "warm busy", "running")
    }
    with tempfile.TemporaryDirectory() as folder:
        kept = {"XDG_CACHE_HOME": str(Path(folder) / "kept")}
        measured("flow", 0, kept)
        for number in range(rounds):
            empty = {"XDG_CACHE_HOME": str(Path(folder) / f"empty{number}")}
            ways["direct"].append(measured("direct", 0, kept))
            ways["direct busy"].append(measured("direct", BUSY, kept))
            uncompiled = {"PYTHONPYCACHEPREFIX": str(Path(folder) / f"bytecode{number}")}
            other = {"XDG_CACHE_HOME": str(Path(folder) / f"other{number}")}
            ways["first ever"].append(measured("flow", 0, uncompiled | other))
            ways["cold"].append(measured("flow", 0, empty))
            ways["warm"].append(measured("flow", 0, kept))
            ways["warm busy"].append(measured("flow", BUSY, kept))
            ways["running"].append(against_running(kept))
    shown(ways)


def shown(ways):
    def middle(way, key):
        return statistics.median(told.get(key, float("nan")) for told in ways[way])

    print("| way | s to the first stage | s over direct | s for a second flow | server MiB |")
    print("|---|---|---|---|---|")
    for way in ("first ever", "cold", "warm", "warm busy", "running"):
        base = middle("direct busy" if "busy" in way else "direct", "total")
        print(
            f"| {way} | {middle(way, 'first'):.1f} | {middle(way, 'total') - base:.1f} "
            f"| {middle(way, 'again'):.2f} | {middle(way, 'peak'):.0f} |"
        )


if __name__ == "__main__":
    main()
