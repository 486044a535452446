"""The parser of all commands: jsonargparse with one-line errors."""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentTypeError
from pathlib import Path
from typing import Any, NoReturn

import yaml
from jsonargparse import (
    ActionConfigFile,
    ArgumentError,
    ArgumentParser,
    DefaultHelpFormatter,
    get_loader,
    set_loader,
    set_parsing_settings,
)

from storygan.cli.examples import EXAMPLES
from storygan.errors import printable, reason, require_threads
from storygan.files import MAX_YAML, parse_yaml, read_text

_load_yaml = get_loader("yaml")


def plain_yaml(text: str) -> Any:
    """Parse YAML with jsonargparse's rules for numbers. Raises yaml.YAMLError as `parse_yaml`."""
    return parse_yaml(text, _load_yaml)


set_loader("yaml", plain_yaml, (yaml.YAMLError,))
set_parsing_settings(
    docstring_parse_attribute_docstrings=True,  # the help of TrainConfig's fields
    add_print_completion_argument=True,
)


class ConfigFile(ActionConfigFile):
    """A configuration file, which must be a regular file of a bounded size."""

    @staticmethod
    def apply_config(parser: ArgumentParser, cfg: Any, dest: str, value: str) -> None:
        """Read the file and merge its values. Raise ValueError or OSError if it cannot be read."""
        if os.path.exists(value):
            read_text(Path(value), 4 * MAX_YAML)
        ActionConfigFile.apply_config(parser, cfg, dest, value)


EXAMPLES_HEADING = "examples:"


class HelpFormatter(DefaultHelpFormatter):
    """jsonargparse's format of `--help`, with each example on a line of its own."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if text.startswith(EXAMPLES_HEADING) else super()._fill_text(text, width, indent)


class Parser(ArgumentParser):
    """jsonargparse's parser, with errors of one line and exit code 2."""

    def __init__(self, **options: Any) -> None:
        super().__init__(formatter_class=HelpFormatter, **options)

    def parse_args(self, *args: Any, **options: Any) -> Any:
        """Parse, and report errors of files and numbers, which jsonargparse lets pass."""
        try:
            return super().parse_args(*args, **options)
        except (ValueError, ArithmeticError, OSError) as error:
            self.error(reason(error))

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Print the message and exit. A nested parser raises, and the outer one prints."""
        if not self.exit_on_error:
            raise ArgumentError(None, message) from ex
        message, parser = plain_message(self, " ".join(message.split()))
        command = parser.prog.replace(" [options]", "")
        self.exit(2, f"storygan: {printable(message, 2000)} (see {command} --help)\n")


KEY = r'Parser key "([^"]*)": '
EXPECTED = re.compile(
    r"Expected a (?:<class '(\w+)'>|typing\.Literal\[(.*?)\])\. Got value: (.*?)(?: - Expected a <class|$)"
)
UNKNOWN = re.compile(r"Option '(.*?)' is not accepted|Group '(.*?)' does not accept option '(.*?)'")
NO_MAPPING = re.compile(
    r"Not a valid subclass of \w+\. Got value: (.*?) Subclass types|Unable to load config ['\"](.*?)['\"]"
    r"|(?:Expected a dot import path|Not a valid subclass).* Given value: (.*)"
)
OPTIONAL = re.compile(r"Does not validate against any of the Union.*? Errors: - (.*?) - Expected a <class 'NoneType'>")
TYPES = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "dict": "names with values",
    "list": "a list",
    "tuple": "a list of two numbers",
}


def plain_message(parser: ArgumentParser, message: str) -> tuple[str, ArgumentParser]:
    """Reword jsonargparse's message about a missing or an invalid argument, and find its subcommand's parser.

    jsonargparse names keys and Python types: `edit.sentence.to` is `--to` of `storygan edit sentence`.
    """
    if found := re.fullmatch(r"the following arguments are required: (.*)", message):
        missing = [find_option(parser, key) for key in found[1].split(", ")]
        return f"give {', '.join(option for option, _ in missing)}", missing[0][1]
    if found := re.match(r'expected "([^"]*)" to be one of \{(.*)\}', message):
        return f"give one of {', '.join(re.split(', ?', found[2]))}", find_option(parser, found[1])[1]
    if found := re.match(r"Subcommand '(.*?)' does not accept option '(.*?)'", message):
        return f"there is no {found[2]}", find_option(parser, found[1])[1]
    if not (keys := re.findall(KEY, message)):
        return message, parser
    option, parser = find_option(parser, keys[0])
    name = ": ".join(filter(None, [option, ".".join(keys[1:])]))
    if found := EXPECTED.search(message):
        expected = TYPES.get(found[1], found[1]) if found[1] else f"one of {found[2].replace(chr(39), '')}"
        return f"{name} {found[3]}: give {expected}", parser
    if found := NO_MAPPING.search(message):
        return f"{name} {next(filter(None, found.groups()), repr(''))}: give {TYPES['dict']}", parser
    if found := UNKNOWN.search(message):
        return f"{name}: there is no {'.'.join(filter(None, found.groups()))}", parser
    if found := OPTIONAL.search(message):
        return f"{name}: {found[1]}", parser
    return f"{name}: {re.split(KEY, message)[-1]}", parser


def find_option(parser: ArgumentParser, key: str) -> tuple[str, ArgumentParser]:
    """Return the option or argument of a key such as `edit.sentence.to`, and the parser that has it."""
    while (commands := parser._subcommands_action) and (name := key.split(".")[0]) in commands.choices:
        parser, key = commands.choices[name], key.removeprefix(f"{name}.")
    options = (action.option_strings[0] for action in parser._actions if action.dest == key and action.option_strings)
    return next(options, key.upper()), parser


def subcommand(commands: Any, name: str, description: str) -> ArgumentParser:
    """Add a parser under `commands`. Its options and subcommands are added afterwards, as jsonargparse requires."""
    examples = "".join(f"\n  {line}" for line in EXAMPLES.get(name, "").strip().splitlines())
    parser = Parser(
        description=description[0].upper() + description[1:] + ".", epilog=examples and EXAMPLES_HEADING + examples
    )
    commands.add_subcommand(name, parser, help=description)
    return parser


class NamedPath:
    """Argument type: a path. An empty one, as of an unset shell variable, would be the current folder."""

    def __call__(self, text: Any) -> Any:
        if isinstance(text, list):  # of an option that may be repeated; each was checked
            return text
        if not text.strip():
            raise ArgumentTypeError("it is empty: name a file or a folder")
        return text

    def __repr__(self) -> str:
        return "path"  # in `--help`


named_path = NamedPath()


def classifiers_option(parser: ArgumentParser) -> None:
    """Add --classifier, of one classifier or several."""
    parser.add_argument(
        "--classifier",
        type=named_path,
        nargs="+",
        default=[],
        help="folders of classifiers; default: the shipped ones for the data",
    )


def threads_option(parser: ArgumentParser) -> None:
    """Add --threads."""
    parser.add_argument("--threads", type=int, default=0, help="CPU threads; 0: one for each core")


def device_option(parser: ArgumentParser) -> None:
    """Add --device."""
    parser.add_argument("--device", type=str, default="cpu", help="cpu, cuda, cuda:1, mps, or auto: a GPU if any")


def device_options(parser: ArgumentParser) -> None:
    """Add --device and --precision."""
    device_option(parser)
    parser.add_argument(
        "--precision", type=str, default="fp32", help="fp32, bf16, or auto: bf16 where the hardware computes it"
    )


def use_threads(threads: int) -> None:
    """Set the number of CPU threads; 0: PyTorch's default, one for each core or OMP_NUM_THREADS.

    Raises:
        UsageError: the number is out of range.
    """
    require_threads(threads, "--threads")
    if threads:
        os.environ["OMP_NUM_THREADS"] = str(threads)  # read when torch is imported
        if "torch" in sys.modules:
            sys.modules["torch"].set_num_threads(threads)
