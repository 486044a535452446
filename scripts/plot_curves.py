"""Plot training curves of runs, named by their folders: python scripts/plot_curves.py OUT.svg RUN..."""

import sys
from pathlib import Path

from storygan.compare.page import draw_curves, read_curves
from storygan.training.loggers import METRICS


def main(out: str, *runs: str) -> None:
    Path(out).write_text(draw_curves({Path(run).name: read_curves(Path(run) / METRICS) for run in runs}) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
