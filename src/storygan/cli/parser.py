"""The library's parser, as all commands use it."""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

from jsonargparse import ArgumentParser

from storygan.types import UsageError


class Parser(ArgumentParser):
    """The library's parser, with errors of one line."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Say what is wrong in one line and exit with 2."""
        command = self.prog.replace(" [options]", "")
        self.exit(2, f"storygan: {' '.join(message.split())} (see {command} --help)\n")


def subcommand(commands: Any, name: str, description: str) -> ArgumentParser:
    """Add an empty parser under `commands`; its own options and subcommands come after (the library's order)."""
    parser = Parser(description=description[0].upper() + description[1:] + ".")
    commands.add_subcommand(name, parser, help=description)
    return parser


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
