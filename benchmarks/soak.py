"""A long training that is killed again and again: python benchmarks/soak.py [--minutes 120] [--every 60] [--seed 0].

A small real recipe (T = 4, three stages, most options, batches of 2, one thread) is trained on the sample that ships
with the package, by processes as a user starts them, with a checkpoint about every `--every` seconds:

1. for a moment, to find how long an iteration takes, and so how many make an eighth of `--minutes`: the whole run;
2. undisturbed;
3. in another folder, for `--minutes`: SIGKILL at a random moment (uniform, up to twice `--every` after the process has
   the run's lock), then `--resume`, again and again. A run that gets to its end all the same is compared, and another
   begins. When the time is over, the last one is let go on to its end.

After each kill every file of the run must be whole, and no checkpoint lost. Each run that ended must equal the
undisturbed one bit for bit: the last checkpoint's contents, the bytes of the model file and of metrics.jsonl. The
memory is VmHWM (the peak) and VmRSS of /proc, read twice a second; `early` is the first half of a process's life in
training, `late` its end, and the slope is that of VmRSS in the second half, which takes a long run to mean anything.
Nothing is judged by its time, but a machine at work gets through fewer kills.

It exits with 1 where a run differs.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.run_folders import differences, no_torn_file, steps_logged

STORYGAN = [sys.executable, "-m", "storygan"]
D_I = {"lr_schedule": "halving", "loss": {"L_image": 1.0, "r1": 1.0, "label": 1.0}}
D_S = {"lr_schedule": "halving", "loss": {"L_story": 1.0, "r1": 1.0}}
C = {"loss": {"label": 1.0, "present": 1.0, "attributes": 1.0, "direction": 1.0}}
TERMS = {"L_image": 1.0, "L_story": 1.0, "L_KL": 1.0, "mse": 1.0, "label": 1.0, "aux": 0.01}
RECIPE = {
    "discriminator": {"spectral_norm": True, "label_head": True},
    "model": {"T": 4},
    "stages": {
        "reconstruction": {
            "C": C,
            "G": {"lr_schedule": "cosine", "loss": {"mse": 1.0}},
            "frames": 2,
            "shuffle_sentences": True,
            "foreground_weight": 8.0,
            "couple_nuisance": True,
            "batch_size": 2,
            "ema": 0.99,
        },
        "discriminators": {"D_I": D_I, "D_S": D_S, "mismatched": True, "r1_every": 2, "batch_size": 2},
        "adversarial": {
            "D_I": D_I,
            "D_S": D_S,
            "G": {"steps": 2, "lr_schedule": "halving", "loss": TERMS},
            "mismatched": True,
            "r1_every": 2,
            "batch_size": 2,
            "ema": 0.99,
        },
    },
    "threads": 1,
    "log_every": 1,
    "keep_checkpoints": 2,
}
PAUSE = 0.5  # seconds from look to look
TIMED = 8  # iterations that find how long one takes


@dataclass
class Life:
    """A process, and what it had in memory while it trained."""

    process: subprocess.Popen[bytes]
    seconds: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    """MB."""
    peaks: list[float] = field(default_factory=list)
    """MB, each the most until then."""

    def watch(self, until: Callable[[], bool], seconds: float = float("inf")) -> None:
        """Read its memory until something holds, the seconds are over, or it ends."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            read = memory(self.process.pid)
            if "VmHWM" in read:  # it has not just ended
                self.seconds.append(time.monotonic())
                self.resident.append(read["VmRSS"])
                self.peaks.append(read["VmHWM"])
            if until() or (left := end - time.monotonic()) <= 0:
                break
            time.sleep(min(PAUSE, left))

    def early(self) -> float:
        """The peak in the first half."""
        return self.peaks[len(self.peaks) // 2]

    def slope(self) -> float:
        """MB an hour, by least squares through what it had resident in the second half."""
        half = len(self.seconds) // 2
        seconds = np.subtract(self.seconds[half:], self.seconds[half])
        return 3600 * float(np.polyfit(seconds, self.resident[half:], 1)[0])


def memory(pid: int) -> dict[str, float]:
    """MB by name, of /proc/PID/status."""
    lines = [line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
    return {line[0].rstrip(":"): int(line[1]) / 1e3 for line in lines if line[-1] == "kB"}


@dataclass
class Soak:
    """The trainings in a folder."""

    folder: Path
    seed: int
    checkpoint_every: int = 10**9
    iterations: int = 10**9
    early: int = 4
    """Iterations of each of the two stages before the adversarial one."""
    lives: list[Life] = field(default_factory=list)

    def start(self, run: Path) -> Life:
        """A new run, or the one in the folder goes on, as soon as the process has the run's lock."""
        recipe = self.folder / "recipe.yaml"
        recipe.write_text(json.dumps(RECIPE))  # which is YAML too
        fields = {
            "run": run,
            "data.path": self.folder / "sample",
            "seed": self.seed,
            "stages.reconstruction.iterations": self.early,
            "stages.discriminators.iterations": self.early,
            "stages.adversarial.iterations": self.iterations - 2 * self.early,
            "checkpoint_every": self.checkpoint_every,
            "sample_every": self.checkpoint_every,
        }
        new = [f"--{name}={value}" for name, value in fields.items()]
        arguments = ["--resume", str(run)] if (run / "config.yaml").exists() else [str(recipe), *new]
        lock = run / ".lock"
        lock.unlink(missing_ok=True)  # of the process before, which has ended
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen([*STORYGAN, "train", *arguments], stdout=log, stderr=log)
        while process.poll() is None and not lock.exists():
            time.sleep(0.05)
        self.lives.append(Life(process))
        return self.lives[-1]

    def end(self, life: Life) -> None:
        """Let a process come to its end; RuntimeError with what it said where that is none of success."""
        life.watch(lambda: False)
        if life.process.wait():
            raise RuntimeError(f"exit {life.process.returncode}: {(self.folder / 'log').read_text()[-2000:]}")

    def seconds_an_iteration(self) -> float:
        """Of the adversarial stage, by a run that is killed."""
        run = self.folder / "timed"
        life = self.start(run)

        def logged(number: int) -> float:
            life.watch(lambda: len(steps_logged(run)) >= number)
            if life.process.poll() is not None:
                self.end(life)
            return time.monotonic()

        first = 2 * self.early + 2
        seconds = -logged(first) + logged(first + TIMED)
        life.process.kill()
        life.process.wait()
        shutil.rmtree(run)
        return seconds / TIMED


def soaked(soak: Soak, minutes: float, every: float) -> dict[str, object]:
    """All of it. RuntimeError where a training ends badly, AssertionError where a kill left a torn file."""
    sample = [*STORYGAN, "data", "sample", str(soak.folder / "sample")]
    subprocess.run(sample, check=True, stdout=subprocess.DEVNULL)
    a_step = soak.seconds_an_iteration()
    soak.checkpoint_every = max(1, round(every / a_step))
    soak.iterations = max(8, round(60 * minutes / 8 / a_step))
    soak.early = soak.iterations // 8
    print(
        f"{a_step:.3f} s an iteration: {soak.iterations} iterations, the first {soak.early} of reconstruction and "
        f"as many of the discriminators alone; a checkpoint every {soak.checkpoint_every}",
        flush=True,
    )
    start = time.monotonic()
    undisturbed = soak.start(whole := soak.folder / "whole")
    soak.end(undisturbed)
    print(f"undisturbed: {(time.monotonic() - start) / 60:.1f} minutes, its start included", flush=True)
    return killed(soak, whole, minutes, every) | {
        "undisturbed, peak early, MB": undisturbed.early(),
        "undisturbed, peak late, MB": undisturbed.peaks[-1],
        "undisturbed, slope, MB an hour": undisturbed.slope(),
    }


def killed(soak: Soak, whole: Path, minutes: float, every: float) -> dict[str, object]:
    """Kill and go on until the time is over and the last run has come to its end."""
    rng, run, start = np.random.default_rng(soak.seed), soak.folder / "run", time.monotonic()
    resumes, steps, lives, differing = 0, [0], list[Life](), list[bool]()
    while not (over := bool(lives) and time.monotonic() - start > 60 * minutes) or run.exists():
        resumes += (run / "config.yaml").exists()
        life = soak.start(run)
        life.watch(lambda: False, float("inf") if over else rng.uniform(0, 2 * every))
        minute = (time.monotonic() - start) / 60
        if life.process.poll() is None:
            life.process.kill()
            life.process.wait()
            lives.append(life)
            found = no_torn_file(run) or [0]
            assert found[-1] >= steps[-1], f"a checkpoint is lost: {steps}, then {found}"
            steps = found
            peaks = f"the peak {life.early():.0f} MB, then {life.peaks[-1]:.0f}"
            print(f"minute {minute:.1f}: kill {len(lives)}, checkpoints {found}, {peaks}", flush=True)
        else:
            soak.end(life)
            unlike = differences(run, whole, soak.iterations)
            print(f"minute {minute:.1f}: the run ended and differs in {unlike or 'nothing'}", flush=True)
            differing.append(bool(unlike))
            shutil.rmtree(run)
            steps = [0]
    return {
        "minutes": (time.monotonic() - start) / 60,
        "iterations": soak.iterations,
        "kills": len(lives),
        "resumes": resumes,
        "runs that ended": len(differing),
        "runs that differ": sum(differing),
        "killed, highest peak early, MB": max(life.early() for life in lives),
        "killed, highest peak late, MB": max(life.peaks[-1] for life in lives),
        "killed, median growth of the peak, MB": statistics.median(life.peaks[-1] - life.early() for life in lives),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120, help="how long it is killed")
    parser.add_argument("--every", type=float, default=60, help="seconds from checkpoint to checkpoint, about")
    parser.add_argument("--seed", type=int, default=0, help="of the moments, and of the training")
    parser.add_argument("--json", action="store_true", help="the figures as a last line of JSON")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # no training stays behind
    print(str(__doc__).split("\n\n", 1)[1])
    print(f"{os.cpu_count()} CPUs, {arguments}")
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(Path(folder), arguments.seed)
        try:
            row = soaked(soak, arguments.minutes, arguments.every)
        finally:
            for life in soak.lives:
                life.process.kill()
    for name, value in row.items():
        print(f"{name}: {value:.1f}" if isinstance(value, float) else f"{name}: {value}")
    if arguments.json:
        print(json.dumps(row))
    sys.exit(1 if row["runs that differ"] else 0)


if __name__ == "__main__":
    main()
