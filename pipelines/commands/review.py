"""`assay review`: what waits for a person, in groups, the decisions on it, and a page for both."""

import argparse
import functools
import gc
import json
import os
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from checks.kit.wording import count
from pipelines import config
from pipelines.review import decision_file, doors, queue, recording
from pipelines.review.recording import Ask, Recorded
from pipelines.review.reviewed_run import ReviewedRun
from pipelines.review.selection import Selection
from pipelines.store import reference_anchor, row_history, trust
from pipelines.store.store import Store
from provenance.base import atomic
from provenance.base.errors import AssayError, printable
from provenance.base.ordinals import MOST
from provenance.ledger.entry import Entry

ACTIONS = ("list", "apply", "export", "decide", "undo", "forget", "anchor")
SELECTORS = ("row", "group", "rule", "key")
PAGE = "page"  # what is asked for without any of them
MOST_NAME = 100
OF_DECIDE = ("column", "value")
MOST_PAIRS = 3  # of people whose agreement a summary tells


def main(arguments: argparse.Namespace) -> int:
    """List or export the queue, record or withdraw decisions, or anchor the reference."""
    store = Store(config.store_folder(arguments.store))
    store.require()
    action = _action(arguments)
    entry = store.find(arguments.run)
    trust.require_whole(store)
    if action == PAGE:
        return _serve(arguments, store, entry)
    if action == "anchor":
        return reference_anchor.decide(arguments, store, entry)
    run = ReviewedRun.of(store, entry)
    if arguments.show_values:
        _require_owner(store, "--show-values")
    if action == "list":
        return _list(arguments, run, entry)
    if action == "export":
        return _export(arguments, run)
    reviewer = _reviewer(arguments, store)
    if action == "undo":
        number, why = arguments.undo, arguments.reason
        made = recording.withdraw(run, number, reviewer, why, account=config.reviewer())
    else:
        asks, overrule = _asks(arguments, action, reviewer), arguments.overrule
        made = recording.record(run, asks, reviewer, account=config.reviewer(), overrule=overrule)
    return _told(run, entry, made, as_json=arguments.json)


def _action(arguments: argparse.Namespace) -> str:
    """Return what is asked for; C012 if it is nothing, or more than one thing."""
    asked = [name for name in ACTIONS if getattr(arguments, name) not in (None, False)]
    if len(asked) > 1:
        what = f"--{asked[1]} cannot be combined with --{asked[0]}"
        raise AssayError("C012", what, fix="call `assay review` once for each")
    action = asked[0] if asked else PAGE
    _refuse_unused(arguments, action)
    if not 0 <= arguments.limit <= MOST:
        what = "--limit must be a number of rows"
        raise AssayError("C012", what, fix=f"give a number from 0 (all rows) to {MOST}")
    return action


def _refuse_unused(arguments: argparse.Namespace, action: str) -> None:
    """Refuse an option that the action would not heed."""
    heeds = {
        "list": ("group", "show_values"), "export": ("group", "show_values"),
        "apply": ("overrule", "reviewer"),
        "decide": (*SELECTORS, *OF_DECIDE, "reason", "overrule", "reviewer"),
        "forget": (*SELECTORS, "reason", "overrule", "reviewer"),
        "undo": ("reason", "reviewer"), "anchor": ("reason",),
        PAGE: ("port", "reviewer", *doors.OPTIONS),
    }[action]  # fmt: skip
    every = (*SELECTORS, *OF_DECIDE, "reason", "overrule", "reviewer", "show_values",
             "port", *doors.OPTIONS)  # fmt: skip
    for name in every:
        if getattr(arguments, name) not in (None, False) and name not in heeds:
            word = "--as" if name == "reviewer" else f"--{name.replace('_', '-')}"
            with_what = "the page" if action == PAGE else f"--{action}"
            what = f"{word} has no meaning with {with_what}"
            raise AssayError("C012", what, fix="leave it out; see `assay review --help`")


def _asks(arguments: argparse.Namespace, action: str, reviewer: str) -> list[Ask]:
    """Return the decisions of the command line, or of the file that it names."""
    if action == "apply":
        return decision_file.read(Path(arguments.apply), reviewer)
    given = {name: getattr(arguments, name) for name in SELECTORS if getattr(arguments, name)}
    if len(given) != 1:
        what = "name the rows by exactly one of --row, --group, --rule and --key"
        raise AssayError("C012", what, fix="for example --group 3f9a1c02, from --list")
    word = "forget" if action == "forget" else str(arguments.decide).lower()
    return [
        Ask(Selection(**given), word, arguments.column, arguments.value, arguments.reason)
    ]  # fmt: skip


def _serve(arguments: argparse.Namespace, store: Store, entry: Entry) -> int:
    """Serve the page until it is interrupted."""
    door = arguments.door
    owner = None if door.users else _reviewer(arguments, store)
    from pipelines.commands import explain
    from pipelines.review import server
    from pipelines.review.desk import Desk

    base, means = row_history.base_of(entry), functools.cache(explain.meaning)
    say = server.say_json if arguments.json else server.say
    # whom the account decides for, if it is not for itself; users decide for themselves
    account = "" if door.users else config.reviewer()
    desk = Desk(store, owner, account)
    served = server.Server(desk, means, base, port=arguments.port or 0, say=say, door=door)
    desk.queue(base)  # so that the page is quick from the first link on
    gc.freeze()  # what stays as long as the server need not be searched for garbage
    served.run()
    return 0


def _reviewer(arguments: argparse.Namespace, store: Store) -> str:
    """Return who decides: this account, or whom the owner of the store names."""
    if arguments.reviewer is None:
        return config.reviewer()
    _require_owner(store, "--as")
    name: str = arguments.reviewer.strip()
    if not name or not name.isprintable() or len(name) > MOST_NAME:
        what = "the name of a reviewer must be one line, not empty"
        raise AssayError("C012", what, fix="give it as --as NAME")
    return name


def _require_owner(store: Store, option: str) -> None:
    if os.geteuid() not in (0, store.folder.stat().st_uid):
        what = f"{option} is only for the owner of the store"
        raise AssayError("C012", what, where=str(store.folder), fix=f"leave {option} out")


def _list(arguments: argparse.Namespace, run: ReviewedRun, entry: Entry) -> int:
    found = queue.of(run, arguments.group or "", config.reviewer())
    is_open, facts = arguments.show_values, found.summary(entry.seq)
    if arguments.json or arguments.group:
        rows = found.rows(arguments.limit, unmasked=is_open)
        shown = len(rows)
    else:
        examples = found.examples(unmasked=is_open)
        shown = sum(map(len, examples.values()))
    _record_values(run, shown, is_open=is_open)
    if arguments.json:
        sys.stdout.write(json.dumps({**facts, "rows": rows}, default=str) + "\n")
        return 0
    if arguments.group:
        lines = _group_text(facts, rows)
    else:
        lines = _text(facts, examples, arguments.limit, config.store_words(run.store.folder))
    sys.stdout.write("".join(f"{printable(line)}\n" for line in lines))
    return 0


def _record_values(run: ReviewedRun, rows: int, *, is_open: bool) -> None:
    if is_open:
        recording.record_view(run, config.reviewer(), rows=rows)


def _text(
    facts: Mapping[str, Any], examples: Mapping[str, list[dict[str, Any]]], limit: int, store: str
) -> list[str]:
    waiting, groups = facts["waiting"], facts["groups"]
    quarantined, decided = f"{facts['quarantined']:,} quarantined", f"{facts['decided']:,} decided"
    where = f" in {count(len(groups), 'group')}" if groups else ""
    rows = count(waiting, "row")
    lines = [f"run {facts['run']}: {rows} to decide{where} ({quarantined}), {decided}"]
    lines += _people(facts["people"])
    shown = groups[: limit or len(groups)]
    for place, group in enumerate(shown):
        if place == facts["stop"] and place > 0:
            lines.append(_stop_line(facts["rest"]))
        lines += _group_text({**facts, "groups": [group]}, examples[group["group"]])
    if more := len(groups) - len(shown):
        lines.append(f"{count(more, 'more group')}: --limit 0 lists them all")
    if waiting:
        review = f"`assay review {facts['run']}"
        lines.append(f"next: {review} --decide WORD --group ID --reason TEXT{store}`, or")
        lines.append(f"      {review} --export decisions.csv{store}`, fill it in, and --apply it")
    return lines


def _stop_line(rest: Mapping[str, Any]) -> str:
    share = max(0.1, 100 * rest["share"])
    words = f"{share:.1f}" if rest["share"] < 0.01 else f"{share:.0f}"  # noqa: PLR2004  per cent
    rows = count(rest["rows"], "row")
    return f"you may stop here: the {rows} below are worth {words} % of the whole review"


def _people(facts: Mapping[str, Any]) -> list[str]:
    """Return what waits for another person, and how far two of them agree."""
    lines = []
    if facts["reviewers"] > 1:
        one, differ = count(facts["one"], "row"), count(facts["disagreement"], "disagreement")
        have = "has" if facts["one"] == 1 else "have"
        lines.append(f"two people decide each row: {one} {have} one of two opinions, {differ}")
    if facts["approval"]:
        have = "waits" if facts["approval"] == 1 else "wait"
        lines.append(
            f"{count(facts['approval'], 'row')} {have} for the approval of a second person"
        )
    every = facts["agreement"]
    lines += [each["says"] for each in every[:MOST_PAIRS]]
    if more := len(every) - MOST_PAIRS:
        lines += [f"and {count(more, 'more pair')} of people, see --json"] if more > 0 else []
    return lines


def _group_text(facts: Mapping[str, Any], rows: list[dict[str, Any]]) -> list[str]:
    lines = []
    for group in facts["groups"]:
        mine = [item for item in rows if item["group"] == group["group"]]
        if not mine:
            continue
        lines.append(f"group {group['group']}  {group['fate']}  {count(group['rows'], 'row')}")
        for reason in group["reasons"]:
            column = f" [{reason['column']}]" if reason["column"] else ""
            advice = f" -> {reason['suggestion']}" if reason["suggestion"] else ""
            lines.append(
                f"  {reason['severity']:<8} {reason['rule']}{column}: {reason['evidence']}{advice}"
            )
        if group["lesson"]:
            lines.append(f"  reviews  {group['lesson']}")
        lines += ["    " + "  ".join(queue.lines_of(item)) for item in mine]
        if more := group["rows"] - len(mine):
            lines.append(f"    {count(more, 'more row')}: --list --group {group['group']}")
    return lines


def _export(arguments: argparse.Namespace, run: ReviewedRun) -> int:
    found = queue.of(run, arguments.group or "", config.reviewer())
    rows = found.rows(0, unmasked=arguments.show_values)
    _record_values(run, len(rows), is_open=arguments.show_values)
    cells = [_exported(item) for item in rows]
    target = Path(arguments.export)
    fix = "give --export a name that does not exist yet, or remove the file"
    atomic.refuse_existing(target, "file of decisions", force=False, fix=fix)
    content = "".join(decision_file.lines(cells)).encode()
    atomic.write_output(target, content, mode=0o600, option="--export")
    words = config.store_words(run.store.folder)
    apply = printable(f"`assay review {run.entry.seq} --apply {target}{words}`")
    report = {"schema": "assay.review/1", "run": run.entry.seq, "file": str(target),
              "rows": len(cells)}  # fmt: skip
    text = f"wrote {count(len(cells), 'row')} to {target}\nnext: fill in the column decision, then "
    sys.stdout.write(json.dumps(report) + "\n" if arguments.json else f"{text}{apply}\n")
    return 0


def _exported(item: Mapping[str, Any]) -> list[str]:
    first = item["reasons"][0]
    key = ", ".join(f"{name}={cell}" for name, cell in item["key"].items())
    cell = ", ".join(f"{name}={cell}" for name, cell in item["cells"].items())
    why = "; ".join(filter(None, [first["evidence"], item["says"]]))
    return [item["group"], str(item["row"]), key, item["fate"], first["rule"],
            first["column"] or "", cell, why, "", "", ""]  # fmt: skip


def _told(run: ReviewedRun, entry: Entry, made: Recorded, *, as_json: bool) -> int:
    base, counts = run.entry.seq, made.counts
    report = {"schema": "assay.review/1", "run": entry.seq, "base": base, "entry": made.entry.seq,
              "decisions": counts, "wait": made.wait}  # fmt: skip
    words = config.store_words(run.store.folder)
    release = printable(f"`assay release {base}{words}`")
    text = (
        f"recorded {_listed(counts)} on run {base} as entry {made.entry.seq}\n"
        f"{_waits(made)}next: {release}, or run again: the next run applies them too\n"
    )
    sys.stdout.write(json.dumps(report) + "\n" if as_json else text)
    return 0


def _waits(made: Recorded) -> str:
    """Return what is in force only with a second person, as a line."""
    if made.wait is None:
        return "a decision is in force once two people have decided the same about the row\n"
    if not made.wait:
        return ""
    have = "waits" if made.wait == 1 else "wait"
    return f"{count(made.wait, 'row')} {have} for the approval of a second person\n"


def _listed(counts: Mapping[str, int]) -> str:
    parts: Iterable[str] = (f"{number:,} {name}" for name, number in counts.items())
    return ", ".join(parts)
