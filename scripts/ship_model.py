"""Make a shipped model of a run's: python scripts/ship_model.py RUN/model NAME.

Rounds the weights to fp16, adds docs/model-cards/NAME.md as the card, and writes src/storygan/weights/NAME.
"""

import sys
from pathlib import Path

from storygan.models.model_folder import SHIPPED
from storygan.models.storygan import StoryGAN

ROOT = Path(__file__).parents[1]


def main(folder: str, name: str) -> None:
    model = StoryGAN.from_pretrained(folder).half_weights()
    model.card = (ROOT / "docs" / "model-cards" / f"{name}.md").read_text()
    model.save_pretrained(SHIPPED / name)
    size = sum(path.stat().st_size for path in (SHIPPED / name).iterdir())
    print(f"{SHIPPED / name}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
