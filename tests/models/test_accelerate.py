"""Accelerated layers and networks against the plain ones."""

from __future__ import annotations

import copy
import os
import platform
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from storygan.config import VARIANTS, DiscriminatorConfig, ModelConfig, Variant
from storygan.models import accelerate as fast
from storygan.models.accelerate import MALLOC_SETTINGS, FastConv2d, UpsampleConv2d, accelerate, fuse_batch_norm
from storygan.models.discriminators import ImageDiscriminator, StoryDiscriminator
from storygan.models.image_generator import ImageGenerator
from storygan.models.noise import Noise, seeded
from storygan.models.storygan import StoryGAN

N, T = 16, 4


# ---- layers and networks ----


def random(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


def generator(network: nn.Module, S: Tensor, eps_0: Tensor, eps: Tensor, g_0: Tensor) -> list[Tensor]:
    return list(network(S, Noise(eps_0, eps, g_0)))


def image_discriminator(network: nn.Module, x: Tensor, s: Tensor, h_0: Tensor) -> list[Tensor]:
    logits, labels = network(x, (s, h_0), (h_0, s))
    return [*logits, labels]


def story_discriminator(network: nn.Module, X: Tensor, S: Tensor) -> list[Tensor]:
    return list(network(X, S, S.flip(1)))


NETWORKS: dict[str, tuple[Callable[[], nn.Module], Callable[..., list[Tensor]], Callable[[int], list[Tensor]]]] = {
    "generator": (
        lambda: StoryGAN(ModelConfig(T=T, noise_dim=5)),
        generator,
        lambda B: [random(B, T, 128), random(B, 128), random(B, T, 5), random(B, 128)],
    ),
    "image discriminator": (
        lambda: ImageDiscriminator(n_labels=3),
        image_discriminator,
        lambda B: [random(B * T, 3, 64, 64), random(B * T, 128), random(B * T, 128)],
    ),
    "generator of 128": (
        lambda: ImageGenerator(128),
        lambda network, o: [network(o)],
        lambda B: [random(B * T, 128, 4, 4)],
    ),
    "image discriminator of 128": (
        lambda: ImageDiscriminator(n_labels=3, image_size=128),
        image_discriminator,
        lambda B: [random(B * T, 3, 128, 128), random(B * T, 128), random(B * T, 128)],
    ),
    "story discriminator": (
        lambda: StoryDiscriminator(T),
        story_discriminator,
        lambda B: [random(B, T, 3, 64, 64), random(B, T, 128)],
    ),
}
"""By name: the network, its outputs, its inputs for B stories."""


def outputs_and_gradients(
    network: nn.Module, call: Callable[..., list[Tensor]], tensors: list[Tensor]
) -> tuple[list[Tensor], tuple[Tensor, ...]]:
    outputs = call(network, *tensors)
    total = sum((y * torch.arange(y.numel()).cos().view_as(y)).sum() for y in outputs)
    return outputs, torch.autograd.grad(total, [*tensors, *network.parameters()])


CASES = [(name, *case) for name in NETWORKS for case in ((3, True), (4, True), (4, False))]
"""3 stories have 12 frames: direct convolutions; 4 have 16: Winograd."""
SLOW = [case for case in CASES if case[0].endswith("128") or not case[2]]
"""Larger frames; evaluation mode, in which the generator is fused instead and discriminators are not used."""


@pytest.mark.parametrize(
    ("name", "B", "training"), [pytest.param(*case, marks=pytest.mark.slow) if case in SLOW else case for case in CASES]
)
def test_accelerated_network_equals_the_plain_one(name: str, B: int, training: bool) -> None:
    """Outputs and gradients for inputs and parameters, parameter names, and running statistics."""
    build, call, make_inputs = NETWORKS[name]
    torch.manual_seed(0)
    plain = build().double().train(training)
    accelerated = accelerate(copy.deepcopy(plain))
    tensors = make_inputs(B)
    expected, found = (outputs_and_gradients(network, call, tensors) for network in (plain, accelerated))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(dict(accelerated.state_dict()), dict(plain.state_dict()))


def test_accelerate_changes_these_layers() -> None:
    networks = [accelerate(build()) for build, _, _ in NETWORKS.values()]
    kinds = [[type(module).__name__ for module in network.modules()] for network in networks]
    counts = [{name: found.count(name) for name in ("UpsampleConv2d", "FastConv2d", "Upsample")} for found in kinds]
    assert counts == [
        {"UpsampleConv2d": 4, "FastConv2d": 1, "Upsample": 0},
        {"UpsampleConv2d": 0, "FastConv2d": 4, "Upsample": 0},
        {"UpsampleConv2d": 5, "FastConv2d": 1, "Upsample": 0},
        {"UpsampleConv2d": 0, "FastConv2d": 5, "Upsample": 0},
        {"UpsampleConv2d": 0, "FastConv2d": 5, "Upsample": 0},
    ]
    assert isinstance(networks[1], fast.SharedJoinDiscriminator)


def test_accelerating_twice_changes_nothing() -> None:
    torch.manual_seed(0)
    once = accelerate(StoryGAN(ModelConfig(noise_dim=5))).eval()
    twice = accelerate(copy.deepcopy(once))
    S, noise = torch.randn(4, T, 128), Noise.sample(4, once.config, seeded(0))
    with torch.no_grad():
        assert torch.equal(once(S, noise)[0], twice(S, noise)[0])


def test_upsample_conv_layer() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 3, padding=1).double()
    layer = copy.deepcopy(conv)
    fast.change_class(layer, UpsampleConv2d)
    x = random(N, 5, 8, 8)
    results = [
        outputs_and_gradients(network, lambda network, x: [network(x)], [x])
        for network in (nn.Sequential(nn.Upsample(scale_factor=2), conv), layer)
    ]
    torch.testing.assert_close(*results)


def test_downsample_conv_layer() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 7, 4, stride=2, padding=1).double()
    layer = copy.deepcopy(conv)
    fast.change_class(layer, FastConv2d)
    x = random(N, 5, 16, 16)
    results = [outputs_and_gradients(network, lambda network, x: [network(x)], [x]) for network in (conv, layer)]
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("n", [2, 3, 4, 8])
def test_join_of_several_conditions(n: int) -> None:
    """On maps of n x n, where all rows may be at the border."""
    torch.manual_seed(0)
    D_I = ImageDiscriminator().double()
    D_I.join = nn.Sequential(nn.Conv2d(4 + 3, 5, 3, padding=1, bias=False), nn.BatchNorm2d(5), nn.LeakyReLU(0.2))
    D_I = D_I.double()
    features, conditions = random(N, 4, n, n), [random(N, 3) for _ in range(3)]
    repeated = [c[:, :, None, None].expand(-1, -1, n, n) for c in conditions]
    expected = [D_I.join(torch.cat([features, c], dim=1)) for c in repeated]
    found = accelerate(D_I).join_conditions(features, conditions)
    wanted = [features, *conditions, *D_I.join.parameters()]
    gradients = [torch.autograd.grad(sum((y**3).sum() for y in ys), wanted) for ys in (found, expected)]
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("name", ["image discriminator", "story discriminator"])
def test_spectral_norm_stays(name: str) -> None:
    """One condition: the plain D_I takes a step of the power iteration for each, the accelerated one a single step."""
    torch.manual_seed(0)
    config = DiscriminatorConfig(spectral_norm=True)
    plain = (ImageDiscriminator(config) if name == "image discriminator" else StoryDiscriminator(T, config)).double()
    accelerated = accelerate(copy.deepcopy(plain))
    tensors = NETWORKS[name][2](4)
    if name == "image discriminator":
        call: Callable[..., list[Tensor]] = lambda network, x, s, h_0: list(network(x, (s, h_0))[0])  # noqa: E731
    else:
        call = lambda network, X, S: list(network(X, S))  # noqa: E731
    expected, found = (outputs_and_gradients(network, call, tensors) for network in (plain, accelerated))
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(dict(accelerated.state_dict()), dict(plain.state_dict()))
    assert any(isinstance(module, FastConv2d) for module in accelerated.modules())
    copy.deepcopy(accelerated)  # as EMA does


# ---- fused batch norm ----


def trained(variant: Variant) -> StoryGAN:
    """Return a generator whose running statistics and affine parameters are not the initial ones."""
    torch.manual_seed(0)
    G = StoryGAN(ModelConfig(variant, noise_dim=5))
    for module in G.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
            nn.init.normal_(module.weight, 1, 0.2)
            nn.init.normal_(module.bias, 0, 0.2)
    nn.init.normal_(G.image_generator[4].bias, 0, 0.2)
    return G


@pytest.mark.parametrize(
    ("variant", "stories"), [*((variant, 3) for variant in VARIANTS), ("storygan", 5), ("storygan", 9)]
)  # 12 frames: direct convolutions; 20, 36: both sizes of Winograd tiles
def test_fused_generator_equals_the_plain_one(variant: Variant, stories: int) -> None:
    G = trained(variant)
    S, noise = torch.randn(stories, T, 128), Noise.sample(stories, G.config, seeded(1))
    before = {name: value.clone() for name, value in G.state_dict().items()}
    fused = fuse_batch_norm(G)
    with torch.no_grad():
        found, again, expected = fused(S, noise), fused(S, noise), G.eval()(S, noise)
    for a, cached, b in zip(found, again, expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
        assert torch.equal(a, cached)
    assert expected[0].std() > 0.01
    assert not any(isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d | UpsampleConv2d) for m in fused.modules())
    assert all(torch.equal(value, before[name]) for name, value in G.state_dict().items())


def test_fused_generator_has_the_dtype_of_the_weights() -> None:
    G = trained("storygan").double()
    S = torch.randn(1, T, 128, dtype=torch.float64)
    noise = Noise(*(torch.randn(shape, dtype=torch.float64) for shape in ((1, 128), (1, T, 5), (1, 128))))
    assert fuse_batch_norm(G)(S, noise)[0].dtype == torch.float64


def test_fusing_leaves_the_original_in_its_mode() -> None:
    G = trained("storygan").train()
    fuse_batch_norm(G)
    assert all(module.training for module in G.modules())


def test_the_sentence_encoder_is_shared() -> None:
    G = StoryGAN.from_pretrained("clevr-sv")
    assert fuse_batch_norm(G).sentence_encoder is G.sentence_encoder


# ---- memory: a process of its own counts its page faults ----

CODE = """
import resource, sys, torch
from storygan.config import ModelConfig
from storygan.models.accelerate import fuse_batch_norm, tune_malloc
from storygan.models.noise import Noise
from storygan.models.storygan import StoryGAN

torch.set_num_threads(1)  # what several leave free depends on how they take turns
print(tune_malloc() if sys.argv[1] == "tuned" else None)
model = fuse_batch_norm(StoryGAN(ModelConfig(noise_dim=5)))
S, noise = torch.zeros(16, 4, 128), Noise.sample(16, model.config, torch.Generator())
counts = []
for _ in range(6):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    model.sample(S, noise)
    counts.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(min(counts[1:]))
"""


def page_faults(how: str) -> tuple[str, int]:
    """Return what `tune_malloc` returned, and the fewest page faults of a batch after the first."""
    environment = {name: value for name, value in os.environ.items() if name not in MALLOC_SETTINGS}
    call = [sys.executable, "-c", CODE, how]
    done, faults = subprocess.run(call, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return done, int(faults)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
def test_tuned_malloc_does_not_ask_the_kernel_for_the_same_memory_again() -> None:
    done, faults = page_faults("tuned")
    assert done == "True"
    assert 10 * faults < page_faults("not tuned")[1]


@pytest.mark.parametrize("name", MALLOC_SETTINGS)
def test_malloc_settings_of_the_environment_are_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "")
    monkeypatch.setattr(fast.ctypes, "CDLL", lambda _: pytest.fail("a setting was made"))
    assert not fast.tune_malloc()
