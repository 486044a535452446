"""The scene sampler: determinism, the rules of docs/data.md, and the distribution of the original."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from storygan.clevr.constants import RADII
from storygan.clevr.geometry import visible_pixels
from storygan.data.clevr.scene import CAMERA_JITTER, LIGHT_JITTER, Scene, sample_scene
from storygan.data.importers.clevr_sv import _object, _read_descriptions
from storygan.errors import UsageError
from storygan.text.clevr import COLOURS, MATERIALS, SHAPES, SIZES, ClevrObject, format_sentence, parse_sentence
from storygan.text.placement import BEHIND, GAP, MARGIN, RIGHT, fits


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [sample_scene(0, story) for story in range(1000)]


def test_scene_is_a_function_of_seed_and_story() -> None:
    assert sample_scene(3, 5) == sample_scene(3, 5)
    assert len({sample_scene(seed, story).objects for seed in range(3) for story in range(3)}) == 9


def test_scene_of_seed_0_is_unchanged() -> None:
    sentences = [format_sentence(thing) for thing in sample_scene(0, 0).objects]
    assert sentences == [
        "large brown rubber cylinder at (1.38, -1.95)",
        "large gray metal cylinder at (-1.20, -0.46)",
        "large gray rubber cube at (1.02, 0.88)",
        "large cyan rubber sphere at (-2.50, 2.00)",
    ]


def test_sentence_has_the_exact_position(scenes: list[Scene]) -> None:
    for scene in scenes[:200]:
        assert tuple(parse_sentence(format_sentence(thing)) for thing in scene.objects) == scene.objects


def test_objects_follow_the_placement_rules(scenes: list[Scene]) -> None:
    for scene in scenes:
        for one, other in combinations(scene.objects, 2):
            offset = np.array([one.x - other.x, one.y - other.y])
            assert np.linalg.norm(offset) - RADII[one.size] - RADII[other.size] >= GAP
            for direction in (RIGHT, BEHIND):
                level = abs(offset @ direction)
                assert level == 0 or level >= MARGIN


def test_every_object_shows_200_pixels(scenes: list[Scene]) -> None:
    assert min(visible_pixels(scene.mask(), 4).min() for scene in scenes[:200]) >= 200


def test_jitter_fills_its_range(scenes: list[Scene]) -> None:
    for name, limit in (
        ("camera", CAMERA_JITTER),
        ("key", LIGHT_JITTER),
        ("fill", LIGHT_JITTER),
        ("back", LIGHT_JITTER),
    ):
        values = np.array([getattr(scene, name) for scene in scenes])
        assert np.abs(values).max() <= limit
        assert values.std() == pytest.approx(limit / 3**0.5, rel=0.05)


@pytest.mark.parametrize("T", [1, 6])
def test_scenes_of_other_lengths(T: int) -> None:
    assert len(sample_scene(0, 0, T).objects) == T


@pytest.mark.parametrize(
    ("seed", "story", "T", "message"), [(0, 0, 7, "1 to 6"), (0, 0, 0, "1 to 6"), (-1, 0, 4, "seed")]
)
def test_invalid_arguments_are_refused(seed: int, story: int, T: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        sample_scene(seed, story, T)


def test_fits_refuses_touching_and_nearly_level_objects() -> None:
    def at(x: float, y: float) -> ClevrObject:
        return ClevrObject("cube", "red", "metal", "large", x, y)

    assert not fits(at(0, 0), at(1.6, 0))  # 1.6 - 2 x 0.7 is under the gap
    assert fits(at(0, 0), at(2, 0))
    assert not fits(at(0, 0), at(2 * RIGHT[0], 2 * RIGHT[1] + 0.1))  # nearly level along BEHIND


def test_sampled_scenes_are_distributed_as_the_original(scenes: list[Scene], official: Path) -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy is not installed")
    descriptions = _read_descriptions(official / "CLEVR_dict.npy")
    original = [
        [_object(vector, slot) for slot in range(4)]
        for name, vector in sorted(descriptions.items())
        if name.endswith("_4.png")
    ]
    sampled = [list(scene.objects) for scene in scenes]
    assert len(original) == 96
    p: dict[str, float] = {}
    for attribute, values in (("shape", SHAPES), ("colour", COLOURS), ("material", MATERIALS), ("size", SIZES)):
        table = [_counts(stories, attribute, values) for stories in (original, sampled)]
        p[f"{attribute} (chi-square)"] = stats.chi2_contingency(table).pvalue
    for name, measure in _MEASURES.items():
        a, b = ([measure(*pair) for s in stories for pair in combinations(s, 2)] for stories in (original, sampled))
        p[f"{name} (KS)"] = stats.ks_2samp(a, b).pvalue
    for axis in "xy":
        a, b = ([getattr(thing, axis) for story in stories for thing in story] for stories in (original, sampled))
        p[f"{axis} (KS)"] = stats.ks_2samp(a, b).pvalue
    print("\n96 official stories beside 1,000 sampled, p-values:")
    print("\n".join(f"  {name:24}{value:.3f}" for name, value in p.items()))
    assert min(p.values()) > 0.05 / len(p), p  # Bonferroni: one false alarm in twenty samplers


def _counts(stories: list[list[ClevrObject]], attribute: str, values: tuple[str, ...]) -> list[int]:
    found = [getattr(thing, attribute) for story in stories for thing in story]
    return [found.count(value) for value in values]


_MEASURES = {
    "distance of two": lambda a, b: np.hypot(a.x - b.x, a.y - b.y),
    "offset along right": lambda a, b: abs((a.x - b.x) * RIGHT[0] + (a.y - b.y) * RIGHT[1]),
    "offset along behind": lambda a, b: abs((a.x - b.x) * BEHIND[0] + (a.y - b.y) * BEHIND[1]),
}
