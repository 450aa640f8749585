"""Writes docs/commands.md from the command line's own parser: `make reference`."""

import argparse
from pathlib import Path

from pipelines import cli

HEAD = """# Commands

Every command prints its result to stdout and everything else to stderr. `--json` prints exactly one
object, on errors too. Exit codes: 0 pass; 1 the data failed; 2 usage or contract error; 3 could not
check; 4 the ledger or a recorded digest does not hold; 130 interrupted. `assay gate` returns the
exit code of the training command once it has started it.

This page is generated from the parser (`make reference`); `assay COMMAND --help` prints the same.
The environment variables are in [environment.md](environment.md).
"""


def page() -> str:
    """Return the whole page as Markdown."""
    return HEAD + "".join(section(verb) for verb in cli.VERBS)


def section(verb: str) -> str:
    """Return one command: what it does, an example, and its arguments."""
    _, text, examples = cli.VERBS[verb]
    parser = command(verb)
    actions = [
        action
        for action in parser._actions  # noqa: SLF001 - argparse has no public list of them
        if action.dest not in ("help", "debug") and action.help != argparse.SUPPRESS
    ]
    _, _, listed = (parser.description or "").partition("\n\n")
    rows = "".join(f"| {name_of(action)} | {help_of(action)} |\n" for action in actions)
    return (
        f"\n## assay {verb}\n\n{text[0].upper()}{text[1:]}.\n\n```text\n"
        + "".join(f"{line}\n" for line in ([examples] if isinstance(examples, str) else examples))
        + "```\n"
        + (f"\n```text\n{listed}\n```\n" if listed else "")
        + f"\n| argument | meaning |\n|---|---|\n{rows}"
    )


def command(verb: str) -> argparse.ArgumentParser:
    """Return the parser of one command."""
    (group,) = (
        action
        for action in cli._parser([verb])._actions  # noqa: SLF001
        if isinstance(action, argparse._SubParsersAction)  # noqa: SLF001
    )
    found: argparse.ArgumentParser = group.choices[verb]
    return found


def name_of(action: argparse.Action) -> str:
    """Return an argument as one types it."""
    takes = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
    if action.choices:
        takes = "{" + ",".join(map(str, action.choices)) + "}"
    shown = takes if isinstance(takes, str) else " ".join(takes)
    names = [f"{name} {shown}".strip() for name in action.option_strings] or [shown]
    return ", ".join(f"`{name}`" for name in names)


def help_of(action: argparse.Action) -> str:
    """Return an argument's help, in one line of a table."""
    return (action.help or "").replace("|", "\\|").replace("%%", "%").replace("\n", " ")


if __name__ == "__main__":
    Path(__file__).with_name("commands.md").write_text(page(), encoding="utf-8")
