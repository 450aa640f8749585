"""What is wrong with several decisions, told as one error: each fault with its line."""

from collections.abc import Sequence

from provenance.base.errors import AssayError

TOLD = 500  # characters of a message about several faults


def at(error: AssayError, where: str) -> AssayError:
    """Return a fault with the place of the decision, if it has one."""
    code = error.code.removeprefix("ASSAY-")
    return AssayError(code, error.what, where=where or error.where, fix=error.fix)


def refuse(faults: Sequence[AssayError]) -> None:
    """Raise one error that tells all faults, if there are any."""
    if not faults:
        return
    if len(faults) == 1:
        raise faults[0]
    files = {fault.where.rpartition(":")[0] for fault in faults}
    file = files.pop() if len(files) == 1 else ""
    told: list[str] = []
    room = TOLD
    for fault in faults:
        place = fault.where.removeprefix(f"{file}:") if file else fault.where
        line = f"line {place}: {fault.what}" if file else f"{place}: {fault.what}".lstrip(": ")
        room -= len(line)
        if told and room < 0:
            told.append(f"and {len(faults) - len(told):,} more")
            break
        told.append(line)
    fixes = {fault.fix for fault in faults}
    fix = (
        f"correct them all; nothing was recorded. {fixes.pop() if len(fixes) == 1 else ''}".strip()
    )
    what = f"{len(faults):,} decisions are refused: " + "; ".join(told)
    raise AssayError("C014", what, where=file, fix=fix)
