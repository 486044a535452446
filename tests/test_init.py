"""The names of `import storygan`."""

import subprocess
import sys

import pytest

import storygan
from storygan.models.output import StoryOutput
from storygan.models.storygan import StoryGAN, shipped_models
from storygan.training.loop import train


def test_dir_shows_what_the_package_offers() -> None:
    assert {"StoryGAN", "StoryOutput", "StoryganError", "shipped_models", "train", "__version__"} <= set(dir(storygan))
    assert (storygan.StoryGAN, storygan.StoryOutput, storygan.train) == (StoryGAN, StoryOutput, train)
    with pytest.raises(AttributeError, match="'storygan' has no attribute 'nonsense'"):
        storygan.nonsense  # noqa: B018


def test_shipped_models_are_named() -> None:
    assert storygan.shipped_models() == shipped_models() == ["clevr-sv", "toon-sv"]


def test_without_the_extra_train_says_what_to_install() -> None:
    code = "import sys; sys.modules['lightning_fabric'] = None\nfrom storygan import *\nimport storygan\nstorygan.train"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    last = "ModuleNotFoundError: storygan.train needs lightning_fabric: pip install 'storygan[train]'"
    assert done.stderr.splitlines()[-1] == last
