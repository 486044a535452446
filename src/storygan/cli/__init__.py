"""The command line: the only place that knows the command-line library. Heavy imports live in the commands."""

from storygan.cli.commands import COMMANDS, main

__all__ = ["COMMANDS", "main"]
