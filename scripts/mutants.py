"""Mutation testing: python scripts/mutants.py [NAME ...]

A mutant is a wrong change of src/storygan. Its tests run on a temporary copy of src. They must pass without the change,
and one of them must fail with it: then the mutant is killed. The copies share the bytecode of what they do not change.

Prints a table. Exit code 1 where a mutant survives or is broken. Broken: the text that it replaces does not occur
exactly once, or pytest ends otherwise than with a failed test. An import error or an undefined name is no kill.

NAME: run only the mutants whose names contain it.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PARALLEL = 2
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(
    ["torch", "lightning_fabric", "pyarrow.parquet", "torch.utils.tensorboard", "pytest", "hypothesis", "PIL.Image"]
)
"""Its processes have imported the libraries, which takes longer than most tests."""
FAILED = re.compile(r"^FAILED (.+?)(?: - |$)", re.MULTILINE)
NOT_RUNNABLE = re.compile(
    r"^(?:E\s+)?(?:ImportError|ModuleNotFoundError|SyntaxError|IndentationError|NameError|UnboundLocalError)\b.*",
    re.MULTILINE,
)
"""Errors of code that does not run at all."""


class Mutant(NamedTuple):
    """A wrong change."""

    name: str
    file: str
    """Under src/storygan."""
    old: str
    """Occurs once in the file."""
    new: str
    tests: tuple[str, ...]
    """Files, or tests in them, as pytest takes them."""


class Result(NamedTuple):
    """The result of a mutant."""

    verdict: str
    """`killed`, `SURVIVED` or `BROKEN`."""
    by: str
    """The test that failed, or why the mutant is broken."""
    seconds: float = 0.0


Change = tuple[str, str, str]
"""Name, old text, new text."""


def group(file: str, tests: str | tuple[str, ...], *changes: Change) -> list[Mutant]:
    """Return mutants of one file that share tests."""
    tests = (tests,) if isinstance(tests, str) else tests
    return [Mutant(name, file, old, new, tests) for name, old, new in changes]


REFERENCE = "tests/models/test_reference.py::test_"
INPUTS = "self.layer(torch.cat([S, eps], dim=2).flatten(0, 1))"
TRUNK = "nn.BatchNorm2d(outputs),\n        nn.LeakyReLU(SLOPE, inplace=True),"
JOIN = "nn.BatchNorm2d(512),\n            nn.LeakyReLU(SLOPE, inplace=True),"
PAIR, TEXT = "torch.cat(pair, dim=1)", "self.text_encoder(S))"
ACCELERATED = tuple(
    "tests/models/test_accelerate.py::test_" + name
    for name in (
        "accelerate_changes_these_layers",
        "accelerated_network_equals_the_plain_one",
        "fused_generator_equals_the_plain_one",
    )
)
STEPS, NETWORKS, TRAINER = (f"tests/training/test_{module}.py::test_" for module in ("steps", "networks", "trainer"))
NAIVE_D_I, NAIVE_D_S, NAIVE_G = (
    STEPS + name
    for name in (
        "L_image_of_D_I_equals_a_naive_sum_over_frames",
        "L_story_of_D_S_equals_a_naive_mean_over_stories",
        "generator_terms_equal_naive_sums",
    )
)
WEIGHTED = STEPS + "the_gradient_is_the_weighted_sum_of_the_terms"
R1 = STEPS + "R1_of_D_I_is_a_sum_over_frames_and_of_D_S_over_the_sequence"
LOGITS_I = "*(one.view(-1, m) for one in (real, fake_logits, *wrong))"
LOGITS_S = "*(one[:, None] for one in (real, fake_logits, *wrong))"
SHARED = "[fake_loss(one) for one in fake]).mean()"
SWAP = ("(real, fake_logits", "(fake_logits, real")
SUM = "weights[term] * value for term, value"


def ignored(term: str) -> str:
    """Return the weighted sum with weight 1 for a term."""
    return SUM.replace("weights[term]", f'(1 if term == "{term}" else weights[term])')


def no_relu(sizes: str) -> str:
    """Return a block of the image generator without its ReLU."""
    return f"nn.Sequential(*conv_bn_relu_upsample({sizes})[:2], nn.Upsample(scale_factor=2)),"


MUTANTS = [
    *group(
        "models/story_encoder.py",
        REFERENCE + "story_encoder",
        ("story encoder: no ReLU", "self.layer(S.flatten(1))", "self.layer[:2](S.flatten(1))"),
        ("story encoder: no BN", "self.layer(S.flatten(1))", "self.layer[2](self.layer[0](S.flatten(1)))"),
        ("story encoder: log_sigma2 without the 0.5", "(0.5 * log_sigma2).exp()", "log_sigma2.exp()"),
        ("story encoder: eps ignored", ".exp() * eps_0, mu", ".exp() * eps_0 * 0, mu"),
    ),
    *group(
        "models/context_encoder.py",
        REFERENCE + "context_encoder",
        ("GRU: no ReLU of its input", INPUTS, INPUTS.replace("layer", "layer[:2]")),
        ("GRU: no BN of its input", INPUTS, INPUTS.replace("layer(", "layer[2](self.layer[0](") + ")"),
        ("GRU: eps_t ignored", "[S, eps]", "[S, torch.zeros_like(eps)]"),
        ("GRU: g_0 = 0", "g_t, i = g_0, []", "g_t, i = torch.zeros_like(g_0), []"),
        ("Text2Gist: h_0 = 0", "h_t, h = h_0, []", "h_t, h = torch.zeros_like(h_0), []"),
        (
            "Text2Gist: z and 1 - z swapped",
            "(1 - z_t) * h_prev + z_t * torch.tanh",
            "z_t * h_prev + (1 - z_t) * torch.tanh",
        ),
        ("Text2Gist: no r_t", "self.U_h(r_t * h_prev)", "self.U_h(h_prev)"),
        ("filter network: no Tanh", "return self.layer(i).unflatten", "return self.layer[:2](i).unflatten"),
        ("gist: filter turned round", "(windows @ filters.mT)", "(windows @ filters.flip(2).mT)"),
        ("gist: windows one to the left", "left = (FILTER_LENGTH - 1) // 2", "left = FILTER_LENGTH // 2"),
    ),
    *group(
        "models/image_generator.py",
        REFERENCE + "image_generator",
        ("image generator: no 1st ReLU", "conv_bn_relu_upsample(DIM, 512),", no_relu("DIM, 512")),
        ("image generator: no 2nd ReLU", "conv_bn_relu_upsample(512, 256),", no_relu("512, 256")),
        ("image generator: no 3rd ReLU", "conv_bn_relu_upsample(256, 128),", no_relu("256, 128")),
        ("image generator: no 4th ReLU", "conv_bn_relu_upsample(128, 64),", no_relu("128, 64")),
        ("image generator: bilinear for nearest", "scale_factor=2)", 'scale_factor=2, mode="bilinear")'),
        ("image generator: Hardtanh for Tanh", "nn.Tanh(),", "nn.Hardtanh(),"),
    ),
    *group(
        "models/accelerate.py",
        ACCELERATED,
        (
            "accelerate: no kernel is flipped",
            "[[0.0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]]",
            "[[1.0, 0, 0], [1, 1, 0], [0, 1, 1], [0, 0, 1]]",
        ),
        ("accelerate: no border in the join", "(0.0, 1.0, 1.0), (1.0, 1.0, 1.0)", "(1.0, 1.0, 1.0), (1.0, 1.0, 1.0)"),
        (
            "accelerate: another image's condition",
            "torch.cat(list(conditions))",
            "torch.cat(list(conditions)).roll(1, 0)",
        ),
        ("accelerate: upsampled twice", "change_class(layer, nn.Identity)", "pass"),
        ("accelerate: discriminators stay plain", "change_class(module, FastConv2d)", "pass"),
        ("fuse_batch_norm: colours reversed", "layer.bias.repeat(4)", "layer.bias.flip(0).repeat(4)"),
    ),
    *group(
        "models/storygan.py",
        REFERENCE + "storygan",
        ("StoryGAN: h_0 detached", "noise.eps, h_0, noise.g_0", "noise.eps, h_0.detach(), noise.g_0"),
        ("StoryGAN: mu for h_0", "noise.eps, h_0, noise.g_0", "noise.eps, mu, noise.g_0"),
        ("StoryGAN: another frame's eps_t", "S, noise.eps, h", "S, noise.eps.roll(1, 1), h"),
    ),
    *group(
        "models/discriminators.py",
        REFERENCE + "image_discriminator",
        ("D_I: zeros for s_t", PAIR, "torch.cat((0 * pair[0], pair[1]), dim=1)"),
        ("D_I: zeros for h_0", PAIR, "torch.cat((pair[0], 0 * pair[1]), dim=1)"),
        ("D_I: s_t and h_0 swapped", PAIR, "torch.cat(pair[::-1], dim=1)"),
        ("D_I: another frame's sentence", PAIR, "torch.cat((pair[0].roll(1, 0), pair[1]), dim=1)"),
        ("D_I: BN and LeakyReLU swapped", JOIN, "nn.LeakyReLU(SLOPE), nn.BatchNorm2d(512),"),
        ("D_I, D_S: BN and LeakyReLU swapped", TRUNK, "nn.LeakyReLU(SLOPE), nn.BatchNorm2d(outputs),"),
        ("D_I, D_S: slope of LeakyReLU 0.9", "SLOPE = 0.2", "SLOPE = 0.9"),
    ),
    *group(
        "models/discriminators.py",
        REFERENCE + "story_discriminator",
        ("D_S: another story's text", TEXT, "self.text_encoder(S.roll(1, 0)))"),
        ("D_S: the first story for all", TEXT, "self.text_encoder(stories[0]))"),
        ("D_S: sum for product", "images * self.text_encoder(S)", "images + self.text_encoder(S)"),
        ("D_S: no BN of the text", TEXT, "self.text_encoder[:2](S))"),
        ("D_S: zeros for the text", TEXT, "0 * self.text_encoder(S))"),
    ),
    *group(
        "losses.py",
        NAIVE_G,
        ("L_KL: sign", "return 0.5 * (mu.square()", "return -0.5 * (mu.square()"),
        ("G: saturating for non-saturating", 'if gan_loss == "saturating" else', 'if gan_loss != "saturating" else'),
        ("G: relativistic, real and fake swapped", "real_loss(fake - real)", "real_loss(real - fake)"),
    ),
    *group(
        "losses.py",
        "tests/test_losses.py",
        (
            "mismatched pairs at full weight",
            "[fake_loss(one) for one in fake]).mean()",
            "[fake_loss(one) for one in fake]).sum()",
        ),
        ("D: relativistic, real and fake swapped", "real_loss(real - one)", "real_loss(one - real)"),
    ),
    *group(
        "training/networks.py",
        NETWORKS + "adversarial_ratio_scales_the_gradient_by_the_frames",
        ("adversarial ratio turned round", "self.norms[0] / self.norms[1]", "self.norms[1] / self.norms[0]"),
    ),
    *group(
        "training/steps.py",
        NAIVE_D_I,
        ("D_I: real and fake swapped", LOGITS_I, LOGITS_I.replace(*SWAP)),
        ("D_I: frames of a story averaged", '{"L_image": L_image * (T / m)', '{"L_image": L_image / m'),
        ("D_I: the story's first sentence", "take(batch.S, batch.frame_idx)", "batch.S[:, :1].expand_as(batch.S)"),
    ),
    *group(
        "training/steps.py",
        NAIVE_D_S,
        ("D_S: real and fake swapped", LOGITS_S, LOGITS_S.replace(*SWAP)),
        ("D_S: another story's text in training", "stories = [batch.S,", "stories = [batch.S.roll(1, 0),"),
    ),
    *group(
        "training/steps.py",
        NAIVE_G,
        ("G: sign of L_image", 'terms["L_image"] = L_image', 'terms["L_image"] = -L_image'),
        ("G: sign of L_story", 'terms["L_story"] = losses', 'terms["L_story"] = -losses'),
    ),
    *group(
        "training/steps.py",
        R1,
        ("D_I: R1 weighted 0", '["r1"] = stage.r1_every * T', '["r1"] = 0 * stage.r1_every * T'),
        ("D_I: R1 a mean over frames", '["r1"] = stage.r1_every * T', '["r1"] = stage.r1_every'),
        ("D_I: R2 of the real frames", "penalty(fake_logits, x_hat)", "penalty(real, x)"),
        ("D_S: R1 weighted 0", '["r1"] = stage.r1_every * 0.5', '["r1"] = 0 * stage.r1_every * 0.5'),
        ("R1 in every iteration", "due = k % stage.r1_every == 0", "due = True"),
    ),
    *group(
        "training/steps.py",
        STEPS + "h_0_is_detached_and_each_frame_has_its_sentence",
        ("D_I: h_0 not detached", "fake.h_0.detach()", "fake.h_0"),
    ),
    *group(
        "training/loop.py",
        WEIGHTED + "[G]",
        ("alpha ignored", SUM, ignored("L_image")),
        ("beta ignored", SUM, ignored("L_story")),
        ("KL weight ignored", SUM, ignored("L_KL")),
    ),
    *group("training/loop.py", WEIGHTED + "[D_S]", ("R1's gamma ignored", SUM, ignored("r1"))),
    *group(
        "training/trainer.py",
        TRAINER + "adam_has_the_settings_of_its_network",
        ("Adam's betas", "betas=learning[name].betas", "betas=(0.9, 0.999)"),
    ),
    *group(
        "training/loop.py",
        TRAINER + "adam_has_the_settings_of_its_network",
        ("Adam's learning rate", '["lr"] = trainer.lr(network)', '["lr"] = 2e-4'),
    ),
    *group(
        "training/loop.py",
        TRAINER + "each_network_changes_only_in_its_own_step",
        ("other networks not frozen", "with frozen(*nets.others(name)):", "with frozen():"),
    ),
    *group(
        "training/trainer.py",
        TRAINER + "ema_follows_the_generator",
        ("EMA weights not used", "self.model if self.ema is None else", "self.model if True else"),
    ),
    *group(
        "training/trainer.py",
        TRAINER + "frozen_batch_norm_keeps_its_statistics",
        ("batch norm not frozen", "if self.stage.freeze_batch_norm:", "if False:"),
    ),
    *group(
        "training/batches.py",
        "tests/training/test_batches.py",
        ("nuisance variables not used", "if self.stage.couple_nuisance:", "if False:"),
        ("noise stays where its sentence was", "noise if batch.order is None else", "noise if True else"),
    ),
]


def mutate(src: Path, mutant: Mutant) -> None:
    """Apply the change to a copy of src. Raises ValueError unless the old text occurs once and differs."""
    path = src / "storygan" / mutant.file
    text = path.read_text()
    if (found := text.count(mutant.old)) != 1 or mutant.old == mutant.new:
        raise ValueError(f"the old text occurs {found} times in {mutant.file}")
    path.write_text(text.replace(mutant.old, mutant.new))
    for bytecode in path.parent.glob(f"__pycache__/{path.stem}.*"):
        bytecode.unlink()


def copy_src(folder: str) -> Path:
    """Return a copy of src without its bytecode."""
    return Path(shutil.copytree(ROOT / "src", Path(folder) / "src", ignore=shutil.ignore_patterns("__pycache__")))


def run_tests(src: Path, tests: tuple[str, ...]) -> tuple[int, str]:
    """Run tests on the package in src; return pytest's exit code and output."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        process = SERVER.Process(target=_pytest, args=(ROOT, src, tests, log))
        process.start()
        process.join()
        return process.exitcode or 0, log.read_text()


def _pytest(root: Path, src: Path, tests: tuple[str, ...], log: Path) -> None:
    """Run pytest in this process, with the package of src."""
    import pytest

    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.chdir(root)
    os.environ |= {"PYTHONPATH": str(src), "OMP_NUM_THREADS": "1"}  # also for processes that a test starts
    sys.path.insert(0, str(src))
    for name in [name for name in sys.modules if name.partition(".")[0] == "storygan"]:
        del sys.modules[name]  # loaded by another user of the fork server
    preloaded = "ignore::pytest.PytestAssertRewriteWarning"  # plugins that the libraries import
    sys.exit(pytest.main(["-x", "-q", "--tb=short", "-p", "no:cacheprovider", "-W", preloaded, *tests]))


def verdict(code: int, output: str) -> Result:
    """Return the result for pytest's exit code and output."""
    if code == 0:
        return Result("SURVIVED", "")
    failed, not_runnable = FAILED.search(output), NOT_RUNNABLE.search(output)
    if code != 1 or failed is None or not_runnable:
        lines = output.strip().splitlines()[-1:]
        return Result("BROKEN", f"pytest ended with {code}: {not_runnable[0] if not_runnable else ''.join(lines)}")
    return Result("killed", failed[1])


def try_mutant(mutant: Mutant, unchanged: Path) -> Result:
    """Apply a mutant to a copy of `unchanged`, and run its tests."""
    start = time.monotonic()
    with TemporaryDirectory() as folder:
        src = Path(shutil.copytree(unchanged, Path(folder) / "src"))
        try:
            mutate(src, mutant)
        except ValueError as error:
            return Result("BROKEN", str(error))
        result = verdict(*run_tests(src, mutant.tests))
    return result._replace(seconds=time.monotonic() - start)


def by_file(tests: list[str]) -> list[tuple[str, ...]]:
    """Group sorted tests by their file."""
    return [tuple(group) for _, group in groupby(tests, key=lambda test: test.partition("::")[0])]


def main(mutants: list[Mutant]) -> int:
    """Run the tests without a change, then every mutant, and print a line for each."""
    start, tests = time.monotonic(), sorted({test for mutant in mutants for test in mutant.tests})
    width, verdicts = max(len(mutant.name) for mutant in mutants), []
    with TemporaryDirectory() as folder, ThreadPoolExecutor(PARALLEL) as pool:
        src = copy_src(folder)
        for code, output in pool.map(partial(run_tests, src), by_file(tests)):
            if code != 0:
                print(output, "mutants: the tests do not pass without a change", sep="\n")
                return 1
        print(f"the tests pass without a change, in {time.monotonic() - start:.0f} s", flush=True)
        for mutant, result in zip(mutants, pool.map(partial(try_mutant, unchanged=src), mutants), strict=True):
            verdicts.append(result.verdict)
            print(f"{mutant.name:{width}}  {result.verdict:8}  {result.seconds:5.1f} s  {result.by}", flush=True)
    killed = verdicts.count("killed")
    print(f"mutants: {killed} of {len(verdicts)} killed, in {time.monotonic() - start:.0f} s")
    return 0 if killed == len(verdicts) else 1


if __name__ == "__main__":
    chosen = [mutant for mutant in MUTANTS if not sys.argv[1:] or any(name in mutant.name for name in sys.argv[1:])]
    sys.exit(main(chosen) if chosen else "mutants: no mutant has this name")
