"""The command line. Only this package imports jsonargparse; the commands import torch when they run."""

from storygan.cli.commands import COMMANDS, main

__all__ = ["COMMANDS", "main"]
