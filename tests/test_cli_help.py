"""`--help` of every command: each option has a text, and each example can be run."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import pytest
from jsonargparse import ArgumentParser

from storygan.cli import main
from storygan.cli.commands import make_parser, named_config, resume_folder
from storygan.cli.examples import EXAMPLES

ROOT = Path(__file__).parents[1]
WITHOUT_TEXT = {"data", "model", "discriminator", "validation"}
"""Groups of fields: the text is the heading of the group."""


def commands(parser: ArgumentParser) -> Iterator[tuple[str, ArgumentParser]]:
    """Yield the name and the parser of every command that has no subcommands."""
    for name, child in parser._subcommands_action.choices.items():
        if child._subcommands_action:
            yield from commands(child)
        else:
            yield name, child


COMMANDS = dict(commands(make_parser()))
LINES = [line for lines in EXAMPLES.values() for line in lines.strip().splitlines()]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_and_argument_has_a_text(name: str) -> None:
    for action in COMMANDS[name]._actions:
        assert action.help or action.dest in WITHOUT_TEXT, action.dest


def test_fields_of_a_stage_have_texts(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "--stages.help"])
    text = " ".join(capsys.readouterr().out.partition("Help for")[2].split())
    assert "Decay per iteration of the generator's EMA weights" in text
    assert not re.findall(r"--stages\.\w+ \S+ \(type", text)


def test_every_command_has_examples() -> None:
    assert COMMANDS.keys() == EXAMPLES.keys()


@pytest.mark.parametrize("line", LINES)
def test_an_example_is_parsed(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    arguments = shlex.split(line)
    assert arguments.pop(0) == "storygan"
    make_parser(arguments[0]).parse_args(named_config(resume_folder(arguments)))


def test_an_example_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["generate", "--help"])
    assert capsys.readouterr().out.endswith("examples:\n" + indent(EXAMPLES["generate"].strip(), "  ") + "\n")
