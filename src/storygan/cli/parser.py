"""The library's parser, as all commands use it."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentTypeError
from typing import Any, NoReturn

import yaml
from jsonargparse import ArgumentError, ArgumentParser, get_loader, set_loader

from storygan.errors import UsageError, printable, reason
from storygan.files import parse_yaml

_load_yaml = get_loader("yaml")


def plain_yaml(text: str) -> Any:
    """What YAML text holds, numbers as the library reads them. yaml.YAMLError as `parse_yaml`."""
    try:
        return parse_yaml(text, _load_yaml)
    except TypeError as error:  # the library adds a colon to a lone name, and fails where that is no text
        raise yaml.YAMLError("a name in it is no text") from error


set_loader("yaml", plain_yaml, (yaml.YAMLError,))


class Parser(ArgumentParser):
    """The library's parser, with errors of one line."""

    def parse_args(self, *args: Any, **options: Any) -> Any:
        """As the library's, which lets errors of files and numbers pass."""
        try:
            return super().parse_args(*args, **options)
        except (ValueError, OSError) as error:
            self.error(reason(error))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong in one line and exit with 2; a parser within a parser raises, and the outer one says it."""
        if not self.exit_on_error:
            raise ArgumentError(None, message) from ex
        message, parser = in_words(self, " ".join(message.split()))
        command = parser.prog.replace(" [options]", "")
        self.exit(2, f"storygan: {printable(message, 2000)} (see {command} --help)\n")


KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "dict": "names with values"}


def in_words(parser: ArgumentParser, message: str) -> tuple[str, ArgumentParser]:
    """What the library says is lacking or of the wrong kind, in a user's words, and the parser of the subcommand.

    The library speaks of keys: `edit.sentence.to` for the option `--to` of `storygan edit sentence`.
    """
    if found := re.fullmatch(r"the following arguments are required: (.*)", message):
        named = [_find(parser, key) for key in found[1].split(", ")]
        return f"give {', '.join(name for name, _ in named)}", named[0][1]
    if found := re.fullmatch(r'expected "([^"]*)" to be one of \{(.*)\}, but it was not provided\.', message):
        return f"say which: {', '.join(re.split(r', ?', found[2]))}", _find(parser, found[1])[1]
    if found := re.fullmatch(r'Parser key "([^"]*)": (.*)', message):
        (name, parser), (field, text) = _find(parser, found[1]), _within(found[2])
        name = f"{name}: {field}" if field else name
        if kind := re.fullmatch(r"Expected a (?:<class '(\w+)'>|typing\.Literal\[(.*)\])\. Got value: (.*)", text):
            wanted = KINDS.get(kind[1], kind[1]) if kind[1] else f"one of {kind[2].replace(chr(39), '')}"
            return f"{name} {kind[3]}: give {wanted}", parser
        return f"{name}: {text}", parser
    return message, parser


def _within(text: str) -> tuple[str, str]:
    """The dotted field of a nested configuration that the library's text is about, and what it says of that field."""
    fields = []
    while found := re.fullmatch(
        r"Problem with given class_path '[^']*': (.*)"
        r"|Does not validate against any of the Union subtypes .*? Errors: - (.*) - Expected a <class 'NoneType'>.*"
        r'|Parser key "([^"]*)": (.*)',
        text,
    ):
        fields += [found[3]] if found[3] else []
        text = found[1] or found[2] or found[4]
    if found := re.fullmatch(r"Group '(.*)' does not accept option '(.*)'|Option '(.*)' is not accepted", text):
        text = f"there is no {'.'.join(filter(None, found.groups()))}"
    return ".".join(fields), text


def _find(parser: ArgumentParser, key: str) -> tuple[str, ArgumentParser]:
    """What a user calls a key, and the parser that has it."""
    while (commands := parser._subcommands_action) and (name := key.split(".")[0]) in commands.choices:
        parser, key = commands.choices[name], key.removeprefix(f"{name}.")
    actions = [action for action in parser._actions if action.dest == key]
    return next((action.option_strings[0] for action in actions if action.option_strings), key.upper()), parser


def subcommand(commands: Any, name: str, description: str) -> ArgumentParser:
    """Add an empty parser under `commands`; its own options and subcommands come after (the library's order)."""
    parser = Parser(description=description[0].upper() + description[1:] + ".")
    commands.add_subcommand(name, parser, help=description)
    return parser


class NamedPath:
    """The path in an argument; empty, as from a variable that is not set, it would be the current folder."""

    def __call__(self, text: str) -> str:
        if not text.strip():
            raise ArgumentTypeError("it is empty: name a file or a folder")
        return text

    def __repr__(self) -> str:
        return "path"  # `--help` shows it


named_path = NamedPath()


def classifier_option(parser: ArgumentParser) -> None:
    """For commands that judge frames."""
    parser.add_argument(
        "--classifier", type=named_path, help="folder of a classifier; without it, a shipped one that knows the data"
    )


def threads_option(parser: ArgumentParser) -> None:
    """For commands that compute: how much of the machine they take."""
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: one a core")


def use_threads(threads: int) -> None:
    """Take so many CPU threads, or (0) what PyTorch takes by itself: one a core, or OMP_NUM_THREADS.

    Raises:
        UsageError: on a negative number.
    """
    if threads < 0:
        raise UsageError(f"--threads {threads}: give a positive number, or 0 for one a core")
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is imported, which the commands do late
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
