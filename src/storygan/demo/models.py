"""The models that the page offers: chosen when the server starts, never by a visitor."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from storygan.models.folding import fold
from storygan.models.model_folder import shipped_models
from storygan.models.storygan import StoryGAN
from storygan.types import UsageError


class Models(dict[str, StoryGAN]):
    """Models by what the page calls them; UsageError for another name, which a visitor may send."""

    def __missing__(self, name: object) -> StoryGAN:
        raise UsageError("Choose who draws.")


def load_models(names: Sequence[str]) -> Models:
    """Load shipped models, model folders or hub ids; none named: all shipped ones whose sentences can be read here (of
    the others stderr says what they need). By what the page calls them.

    Raises:
        StoryganError: where one does not load.
    """
    models = Models()
    for name in names or shipped_models():
        model, shown = fold(StoryGAN.from_pretrained(name)), _shown(name)
        if not names and model.sentence_encoder and (install := model.sentence_encoder.missing()):
            print(f"storygan: the page leaves out {name}, which needs {install}", file=sys.stderr)
            continue
        others = [other for other in models if other.split(" (")[0] == shown]
        models[f"{shown} ({len(others) + 1})" if others else shown] = model
    return models


def _shown(name: str) -> str:
    """The last folder's name; of `runs/first/model`, what a run leaves, `first`. The path itself stays private."""
    path = Path(name)
    if not path.is_dir():
        return name
    path = path.resolve()
    return path.parent.name if path.name == "model" else path.name
