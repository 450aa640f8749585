"""What checks conclude from the findings of all checks, once every check has run."""

import dataclasses

from checks.kit import findings, registry
from checks.kit.protocol import Context
from pipelines.checking.examine import Examined, Status
from provenance.rows.shards import ShardRef


def with_conclusions(examined: Examined, context: Context, shards: list[ShardRef]) -> Examined:
    """Return the same with further findings and memories; a check that did not run adds none.

    Args:
        examined: the results of all checks.
        context: the context they ran in.
        shards: what was examined.
    """
    parts, memory = [examined.found], dict(examined.memory)
    has_run = {status.check for status in examined.statuses if status.status == "ok"}
    statuses = examined.statuses
    for name, kind in registry.offering("conclude").items():
        if name not in has_run:
            continue
        made = kind.conclude(context, examined.found, shards, memory.get(name, {}))
        parts.append(made.overall)
        statuses = tuple(_more(status, name, len(made.overall)) for status in statuses)
        if made.memory:
            memory[name] = made.memory
    found = examined.found  # is ordered, and to order millions again takes seconds
    if any(len(part) for part in parts[1:]):
        found = findings.ordered(findings.concat(parts))
    return dataclasses.replace(examined, found=found, statuses=statuses, memory=memory)


def _more(status: Status, check: str, count: int) -> Status:
    if status.check != check:
        return status
    return dataclasses.replace(status, findings=status.findings + count)
