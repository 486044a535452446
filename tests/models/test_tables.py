"""The tables of the paper, row by row: the shape after every layer, and the number of parameters."""

import pytest
import torch
from torch import nn

from storygan.config import VARIANTS, ModelConfig
from storygan.models.context_encoder import ContextEncoder
from storygan.models.discriminators import ImageDiscriminator, StoryDiscriminator
from storygan.models.image_generator import ImageGenerator
from storygan.models.noise import Noise
from storygan.models.story_encoder import StoryEncoder
from storygan.models.storygan import StoryGAN

B, T = 3, 4
Shape = tuple[int, ...]


def shapes_after(network: nn.Module, names: list[str], *inputs: object) -> list[Shape]:
    """Run `network` and return the output shape of each named layer."""
    shapes: dict[str, Shape] = {}
    for name in names:
        layer = network.get_submodule(name)
        layer.register_forward_hook(lambda _, __, output, name=name: shapes.update({name: tuple(output.shape)}))
    network(*inputs)
    return [shapes[name] for name in names]


def count(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def conditions(n: int) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.randn(n, 128), torch.randn(n, 128)


def test_story_encoder_table() -> None:
    network = StoryEncoder(T)
    S, eps = torch.randn(B, T, 128), torch.randn(B, 128)
    assert shapes_after(network, ["layer", "mu", "log_sigma2"], S, eps) == [(B, 128)] * 3
    assert count(network) == (128 * T) * 128 + 2 * 128 + 2 * (128 * 128 + 128)


def test_context_encoder_table() -> None:
    network = ContextEncoder(noise_dim=100)
    inputs = torch.randn(B, T, 128), torch.randn(B, T, 100), torch.randn(B, 128), torch.randn(B, 128)
    names = ["lower.layer", "lower.gru", "text2gist.filter_network.layer", "text2gist.filter_network", "text2gist"]
    assert shapes_after(network, names, *inputs) == [
        (B * T, 128),
        (B, 128),
        (B * T, 1024),
        (B * T, 16, 64),
        (B, T, 128, 4, 4),
    ]
    lower = 228 * 128 + 2 * 128
    gru = 3 * (128 * 128 + 128 * 128 + 2 * 128)
    text2gist = 3 * (128 * 128 + 128) + 3 * 128 * 128
    filters = 128 * 1024 + 2 * 1024
    assert count(network) == lower + gru + text2gist + filters


def test_image_generator_table() -> None:
    network = ImageGenerator()
    names = [f"{block}.{layer}" for block in range(4) for layer in (2, 3)] + ["4", "5"]
    assert shapes_after(network, names, torch.randn(B, 128, 4, 4)) == [
        (B, 512, 4, 4),
        (B, 512, 8, 8),
        (B, 256, 8, 8),
        (B, 256, 16, 16),
        (B, 128, 16, 16),
        (B, 128, 32, 32),
        (B, 64, 32, 32),
        (B, 64, 64, 64),
        (B, 3, 64, 64),
        (B, 3, 64, 64),
    ]
    channels = [(128, 512), (512, 256), (256, 128), (128, 64)]
    assert count(network) == sum(9 * i * o + 2 * o for i, o in channels) + 9 * 64 * 3 + 3


def test_tables_of_128_have_one_more_row() -> None:
    image, story = ImageDiscriminator(image_size=128), StoryDiscriminator(T, image_size=128)
    generator, X = ImageGenerator(128), torch.randn(B, T, 3, 128, 128)
    assert shapes_after(generator, ["3.3", "4.2", "4.3", "5"], torch.randn(B, 128, 4, 4)) == [
        (B, 64, 64, 64),
        (B, 32, 64, 64),
        (B, 32, 128, 128),
        (B, 3, 128, 128),
    ]
    trunk = [(32, 64, 64), (64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
    names = [f"features.{block}" for block in range(5)]
    assert shapes_after(image, names, X[:, 0], conditions(B)) == [(B, *shape) for shape in trunk]
    names = [f"image_encoder.0.{block}" for block in range(5)]
    assert shapes_after(story, names, X, torch.randn(B, T, 128)) == [(B * T, *shape) for shape in trunk]
    assert count(generator) - count(ImageGenerator()) == 9 * 64 * 32 + 2 * 32 - 9 * 32 * 3
    assert count(image) - count(ImageDiscriminator()) == 16 * (3 * 32 + 32 * 64 - 3 * 64) + 2 * 32
    assert count(StoryGAN(ModelConfig(image_size=128))) - count(StoryGAN(ModelConfig())) == (
        count(generator) - count(ImageGenerator())
    )


TRUNK = [(64, 32, 32), (128, 16, 16), (256, 8, 8), (512, 4, 4)]
TRUNK_COUNT = sum(16 * i * o + 2 * o for i, o in [(3, 64), (64, 128), (128, 256), (256, 512)])


def test_image_discriminator_table() -> None:
    network = ImageDiscriminator()
    names = [f"features.{n}" for n in range(4)] + ["join.2", "out"]
    shapes = shapes_after(network, names, torch.randn(B, 3, 64, 64), conditions(B))
    assert shapes == [(B, *shape) for shape in TRUNK] + [(B, 512, 4, 4), (B, 1, 1, 1)]
    assert count(network) == TRUNK_COUNT + 9 * (512 + 256) * 512 + 2 * 512 + 16 * 512 + 1


def test_story_discriminator_table() -> None:
    network = StoryDiscriminator(T)
    names = [f"image_encoder.0.{n}" for n in range(4)] + ["image_encoder.2", "image_encoder", "text_encoder", "w"]
    shapes = shapes_after(network, names, torch.randn(B, T, 3, 64, 64), torch.randn(B, T, 128))
    assert shapes[:4] == [(B * T, *shape) for shape in TRUNK]
    assert shapes[4:] == [(B * T, 32, 2, 2), (B * T, 32 * 4), (B, 32 * 4 * T), (B, 1)]
    text = (128 * T) * (128 * T) + 2 * 128 * T
    assert count(network) == TRUNK_COUNT + 16 * 512 * 32 + 2 * 32 + text + 128 * T + 1


def test_several_conditions_equal_one_at_a_time() -> None:
    image, story = ImageDiscriminator(n_labels=15).eval(), StoryDiscriminator(T).eval()
    x, one, two = torch.randn(B, 3, 64, 64), conditions(B), conditions(B)
    (first, second), labels = image(x, one, two)
    assert labels is not None
    assert labels.shape == (B, 15)
    torch.testing.assert_close(first, image(x, one)[0][0])
    torch.testing.assert_close(second, image(x, two)[0][0])
    X, S, other = torch.randn(B, T, 3, 64, 64), torch.randn(B, T, 128), torch.randn(B, T, 128)
    torch.testing.assert_close(story(X, S, other)[1], story(X, other)[0])


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("T", [1, 4])
def test_every_variant_generates_and_gradients_reach_every_parameter(variant: str, T: int) -> None:
    config = ModelConfig(variant=variant, T=T)  # type: ignore[arg-type]
    model = StoryGAN(config)
    noise = Noise.sample(5, config, torch.Generator().manual_seed(0))
    X_hat, h_0, mu, log_sigma2 = model(torch.randn(5, T, 128), noise)
    assert X_hat.shape == (5, T, 3, 64, 64)
    assert X_hat.abs().max() <= 1
    assert h_0.shape == mu.shape == log_sigma2.shape == (5, 128)
    (X_hat * torch.randn_like(X_hat)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def conv_and_norm(*blocks: str) -> set[str]:
    """Names of the parameters of blocks [conv without bias, batch norm, ...]."""
    return {f"{block}.0.weight" for block in blocks} | {f"{block}.1.{part}" for block in blocks for part in NORM}


def test_parameter_names_stay() -> None:
    """Checkpoints and model folders of earlier versions have these names."""
    assert set(ImageGenerator().state_dict()) == conv_and_norm("0", "1", "2", "3") | {"4.weight", "4.bias"}
    trunk = [f"features.{n}" for n in range(4)]
    out = {f"{layer}.{part}" for layer in ("out", "label_head") for part in ("weight", "bias")}
    assert set(ImageDiscriminator(n_labels=3).state_dict()) == conv_and_norm(*trunk, "join") | out
    trunk = [f"image_encoder.0.{n}" for n in range(4)]
    image = {"image_encoder.1.weight"} | {f"image_encoder.2.{part}" for part in NORM}
    text = {"text_encoder.1.weight", "w.weight", "w.bias"} | {f"text_encoder.2.{part}" for part in NORM}
    assert set(StoryDiscriminator(T).state_dict()) == conv_and_norm(*trunk) | image | text
