"""Make a shipped model from a run: python scripts/ship_model.py RUN/model NAME.

Rounds the weights to fp16 and writes src/storygan/weights/NAME. The card is docs/model-cards/NAME.md with the results
of docs/results/NAME.json as hub metadata; the sample grid is docs/results/NAME-test.png. `storygan evaluate --model
NAME --json --sample-grid FILE` writes these files: run this script, evaluate, and run it again.
"""

import json
import sys
from pathlib import Path

from storygan.models.model_card import add_metadata
from storygan.models.storygan import SHIPPED, StoryGAN

ROOT = Path(__file__).parents[1]


def main(folder: str, name: str) -> None:
    model = StoryGAN.from_pretrained(folder).half_weights()
    report = json.loads((ROOT / "docs" / "results" / f"{name}.json").read_text())
    model.card = add_metadata((ROOT / "docs" / "model-cards" / f"{name}.md").read_text(), report)
    model.save_pretrained(SHIPPED / name)
    (SHIPPED / name / f"{name}.png").write_bytes((ROOT / "docs" / "results" / f"{name}-test.png").read_bytes())
    size = sum(path.stat().st_size for path in (SHIPPED / name).iterdir())
    print(f"{SHIPPED / name}: {size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(*sys.argv[1:])
