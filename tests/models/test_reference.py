"""The whole model written out plainly from the paper's equations and tables, in float64, against the modules.

A module and its plain form share random weights, and batch norms with random statistics. Outputs, and gradients for
inputs and parameters, must be equal in training and in evaluation mode.
"""

from collections.abc import Callable, Sequence

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from storygan.config import ModelConfig
from storygan.models.context_encoder import ContextEncoder
from storygan.models.discriminators import ImageDiscriminator, StoryDiscriminator
from storygan.models.image_generator import ImageGenerator
from storygan.models.noise import Noise
from storygan.models.story_encoder import StoryEncoder
from storygan.models.storygan import StoryGAN

B, T, NOISE = 3, 2, 10
MODES = pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])


# ---- layers ----


def only(network: nn.Module, kind: type[nn.Module]) -> list[nn.Module]:
    """List the layers of one kind, in their order: the plain forms take the weights alone from the modules."""
    return [module for module in network.modules() if isinstance(module, kind)]


def linear(layer: nn.Module, x: Tensor) -> Tensor:
    y = torch.einsum("ni,oi->no", x, layer.weight)
    return y if layer.bias is None else y + layer.bias


def batch_norm(norm: nn.Module, x: Tensor) -> Tensor:
    """Normalize each channel by the batch's statistics in training, by the running ones in evaluation."""
    axes = [axis for axis in range(x.dim()) if axis != 1]
    mean, var = (x.mean(axes), x.var(axes, correction=0)) if norm.training else (norm.running_mean, norm.running_var)
    y = (x.movedim(1, -1) - mean) / (var + 1e-5).sqrt() * norm.weight + norm.bias
    return y.movedim(-1, 1)


def linear_bn(layers: nn.Module, x: Tensor) -> Tensor:
    ((layer,), (norm,)) = only(layers, nn.Linear), only(layers, nn.BatchNorm1d)
    return batch_norm(norm, linear(layer, x))


def relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0)


def leaky_relu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


# ---- the generator ----


def story_encoder(network: nn.Module, S: Tensor, eps: Tensor) -> list[Tensor]:
    """Section 3.1: h_0 = mu(S) + sigma(S) eps."""
    hidden = relu(linear_bn(network.layer, S.reshape(len(S), -1)))
    mu, log_sigma2 = linear(network.mu, hidden), linear(network.log_sigma2, hidden)
    return [mu + log_sigma2.exp().sqrt() * eps, mu, log_sigma2]


def lower_gru(network: nn.Module, S: Tensor, eps: Tensor, g_0: Tensor) -> list[Tensor]:
    """A GRU over ReLU(BN(W [s_t, eps_t])). BN takes its statistics over all stories and frames."""
    B, T, _ = S.shape
    x = relu(linear_bn(network.layer, torch.cat([S, eps], dim=2).reshape(B * T, -1))).reshape(B, T, -1)
    (W_r, W_z, W_n), (U_r, U_z, U_n) = network.gru.weight_ih.chunk(3), network.gru.weight_hh.chunk(3)
    (b_r, b_z, b_n), (c_r, c_z, c_n) = network.gru.bias_ih.chunk(3), network.gru.bias_hh.chunk(3)
    g, states = g_0, []
    for t in range(T):
        r = torch.sigmoid(x[:, t] @ W_r.T + b_r + g @ U_r.T + c_r)
        z = torch.sigmoid(x[:, t] @ W_z.T + b_z + g @ U_z.T + c_z)
        n = torch.tanh(x[:, t] @ W_n.T + b_n + r * (g @ U_n.T + c_n))
        g = (1 - z) * n + z * g
        states.append(g)
    return states


def context_encoder(network: nn.Module, S: Tensor, eps: Tensor, h_0: Tensor, g_0: Tensor) -> Tensor:
    """Section 3.2: Text2Gist above the GRU."""
    i, c, h, hs = lower_gru(network.lower, S, eps, g_0), network.text2gist, h_0, []
    for i_t in i:
        z_t = torch.sigmoid(i_t @ c.W_z.weight.T + h @ c.U_z.weight.T + c.W_z.bias)
        r_t = torch.sigmoid(i_t @ c.W_r.weight.T + h @ c.U_r.weight.T + c.W_r.bias)
        h = (1 - z_t) * h + z_t * torch.tanh(i_t @ c.W_h.weight.T + (r_t * h) @ c.U_h.weight.T + c.W_h.bias)
        hs.append(h)
    filters = torch.tanh(linear_bn(c.filter_network, torch.stack(i, dim=1).flatten(0, 1))).reshape(-1, 16, 64)
    padded = F.pad(torch.stack(hs, dim=1).flatten(0, 1), (31, 32))
    o = [torch.einsum("nfk,nk->nf", filters, padded[:, p : p + 64]) for p in range(128)]  # 16 cells at each channel
    return torch.stack(o, dim=1).reshape(*S.shape[:2], 128, 4, 4)


def image_generator(network: nn.Module, o: Tensor) -> Tensor:
    """Conv3x3; three times Upsample x2 and Conv3x3; BN and ReLU after each; Upsample x2, Conv3x3 and Tanh."""
    *convs, last = only(network, nn.Conv2d)
    for conv, norm in zip(convs, only(network, nn.BatchNorm2d), strict=True):
        if conv is not convs[0]:
            o = o.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
        o = relu(batch_norm(norm, F.conv2d(o, conv.weight, padding=1)))
    o = o.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    return torch.tanh(F.conv2d(o, last.weight, last.bias, padding=1))


def storygan(network: nn.Module, S: Tensor, eps_0: Tensor, eps: Tensor, g_0: Tensor) -> list[Tensor]:
    h_0, mu, log_sigma2 = story_encoder(network.story_encoder, S, eps_0)
    o = context_encoder(network.context_encoder, S, eps, h_0, g_0)
    return [image_generator(network.image_generator, o.flatten(0, 1)).unflatten(0, S.shape[:2]), h_0, mu, log_sigma2]


# ---- the discriminators ----


def downsample_trunk(network: nn.Module, x: Tensor) -> Tensor:
    """Four times Conv4x4 with stride 2, BN, LeakyReLU."""
    for conv, norm in zip(only(network, nn.Conv2d)[:4], only(network, nn.BatchNorm2d)[:4], strict=True):
        x = leaky_relu(batch_norm(norm, F.conv2d(x, conv.weight, stride=2, padding=1)))
    return x


def image_discriminator(network: nn.Module, x: Tensor, *conditions: tuple[Tensor, Tensor]) -> list[Tensor]:
    """s_t and h_0, repeated over the 4x4 map, join the image's features. The label head sees these features alone."""
    join, out, labels = only(network, nn.Conv2d)[4:]
    (norm,) = only(network, nn.BatchNorm2d)[4:]
    maps, logits = downsample_trunk(network, x), []
    for s, h_0 in conditions:
        repeated = torch.cat([s, h_0], dim=1)[:, :, None, None].repeat(1, 1, 4, 4)
        joined = leaky_relu(batch_norm(norm, F.conv2d(torch.cat([maps, repeated], dim=1), join.weight, padding=1)))
        logits.append(torch.einsum("nchw,chw->n", joined, out.weight[0]) + out.bias)
    return [*logits, torch.einsum("nchw,kchw->nk", maps, labels.weight) + labels.bias]


def story_discriminator(network: nn.Module, X: Tensor, *stories: Tensor) -> list[Tensor]:
    """Section 3.3: w^T (E_img(X) . E_text(S)) + b."""
    (conv,), (norm,) = only(network, nn.Conv2d)[4:], only(network, nn.BatchNorm2d)[4:]
    images = batch_norm(norm, F.conv2d(downsample_trunk(network, X.flatten(0, 1)), conv.weight, stride=2, padding=1))
    images = images.reshape(len(X), -1)  # the frames' features one after another
    texts = [linear_bn(network.text_encoder, S.reshape(len(S), -1)) for S in stories]
    return [(images * text) @ network.w.weight[0] + network.w.bias for text in texts]


# ---- the comparison ----


def random(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, requires_grad=True)


@torch.no_grad()
def randomized(network: nn.Module) -> nn.Module:
    """Give weights values that keep the size of activations, biases and batch norms values far from 0 and 1."""
    for name, value in [*network.double().named_parameters(), *network.named_buffers()]:
        if name.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.normal_(0, 0.5 if value.dim() == 1 else 1.5 / value[0].numel() ** 0.5)
    return network


def check(
    network: nn.Module,
    training: bool,
    call: Callable[..., Sequence[Tensor]],
    plain: Callable[..., Sequence[Tensor]],
    *inputs: Tensor,
) -> None:
    """Compare the outputs, and the gradients of a weighted sum of them."""
    network.train(training)
    results = []
    for function in (call, plain):
        outputs = list(function(network, *inputs))
        total = sum((y * torch.arange(y.numel()).add(1).cos().view_as(y)).sum() for y in outputs)
        wanted = [*inputs, *network.parameters()]
        results.append((outputs, torch.autograd.grad(total, wanted, allow_unused=True, materialize_grads=True)))
    (outputs, gradients), (expected, expected_gradients) = results
    torch.testing.assert_close(outputs, expected)
    torch.testing.assert_close(gradients, expected_gradients)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@MODES
def test_story_encoder(training: bool) -> None:
    inputs = random(B, T, 128), random(B, 128)
    check(randomized(StoryEncoder(T)), training, lambda network, *x: network(*x), story_encoder, *inputs)


@MODES
def test_context_encoder(training: bool) -> None:
    inputs = random(B, T, 128), random(B, T, NOISE), random(B, 128), random(B, 128)
    plain = lambda *x: [context_encoder(*x)]  # noqa: E731
    check(randomized(ContextEncoder(NOISE)), training, lambda network, *x: [network(*x)], plain, *inputs)


@MODES
def test_image_generator(training: bool) -> None:
    plain = lambda *x: [image_generator(*x)]  # noqa: E731
    check(randomized(ImageGenerator()), training, lambda network, o: [network(o)], plain, random(B, 128, 4, 4))


@MODES
def test_storygan(training: bool) -> None:
    def call(network: nn.Module, S: Tensor, *noise: Tensor) -> Sequence[Tensor]:
        return network(S, Noise(*noise))

    inputs = random(B, T, 128), random(B, 128), random(B, T, NOISE), random(B, 128)
    check(randomized(StoryGAN(ModelConfig(T=T, noise_dim=NOISE))), training, call, storygan, *inputs)


@MODES
def test_image_discriminator(training: bool) -> None:
    def call(network: nn.Module, x: Tensor, s: Tensor, h_0: Tensor, s_other: Tensor) -> Sequence[Tensor]:
        logits, labels = network(x, (s, h_0), (s_other, h_0))
        return [*logits, labels]

    def plain(network: nn.Module, x: Tensor, s: Tensor, h_0: Tensor, s_other: Tensor) -> Sequence[Tensor]:
        return image_discriminator(network, x, (s, h_0), (s_other, h_0))

    network = randomized(ImageDiscriminator(n_labels=5))
    check(network, training, call, plain, random(B, 3, 64, 64), *(random(B, 128) for _ in range(3)))


@MODES
def test_story_discriminator(training: bool) -> None:
    inputs = random(B, T, 3, 64, 64), random(B, T, 128), random(B, T, 128)
    call = lambda network, *x: network(*x)  # noqa: E731
    check(randomized(StoryDiscriminator(T)), training, call, story_discriminator, *inputs)


@torch.no_grad()
def test_scores_are_probabilities_of_real() -> None:
    D_I, D_S = randomized(ImageDiscriminator(n_labels=5)).eval(), randomized(StoryDiscriminator(T)).eval()
    X, S, h_0 = random(B, T, 3, 64, 64), random(B, T, 128), random(B, 128)
    logits, _ = image_discriminator(D_I, X[:, 0], (S[:, 0], h_0))
    torch.testing.assert_close(D_I.score(X[:, 0], S[:, 0], h_0), 1 / (1 + (-logits).exp()))
    (logits,) = story_discriminator(D_S, X, S)
    torch.testing.assert_close(D_S.score(X, S), 1 / (1 + (-logits).exp()))
