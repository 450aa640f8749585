"""The help of every command: each option explained, and examples that the parser accepts."""

import argparse
import shlex

import pytest

from pipelines import cli
from pipelines.commands import ledger


def options_of(verb):
    [commands] = [
        a for a in cli._parser([verb])._actions if isinstance(a, argparse._SubParsersAction)
    ]
    return commands.choices[verb]._actions


@pytest.mark.parametrize("verb", cli.VERBS)
def test_every_command_explains_its_options_and_has_examples(verb, capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main([verb, "--help"])
    shown = capsys.readouterr().out
    assert all(option.help for option in options_of(verb))
    _, _, examples = cli.VERBS[verb]
    for example in examples:
        assert f"\n  {example}\n" in shown
        words = shlex.split(example)[1:]
        words = words[: words.index("--")] if "--" in words else words
        assert cli._parser(words).parse_args(words).verb == verb


def test_every_action_on_the_ledger_is_described(capsys):
    with pytest.raises(SystemExit, match="0"):
        cli.main(["ledger", "--help"])
    shown = capsys.readouterr().out
    assert list(cli.LEDGER_ACTIONS) == list(ledger.ACTIONS)
    for action, text in cli.LEDGER_ACTIONS.items():
        assert any(line.split() == [action, *text.split()] for line in shown.splitlines())
