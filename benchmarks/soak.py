"""Kill and resume a long training: python benchmarks/soak.py [--minutes 120] [--every 60] [--seed 0].

A small recipe (T = 4, three stages, most options, batches of 2, one thread) trains on the shipped sample, in processes
like those of a user, with a checkpoint about every `--every` seconds:

1. A short run measures the time per iteration. One eighth of `--minutes` gives the number of iterations.
2. A reference run is not interrupted.
3. A run in another folder gets SIGKILL at a random time, uniform in [0, 2 * `--every`] after it has the run's lock, and
   is resumed. A finished run is compared with the reference, and another begins. This takes `--minutes`; then the last
   run finishes.

After each kill, every file of the run must be complete and no checkpoint lost. Each finished run must equal the
reference bit-exactly: contents of the last checkpoint, bytes of the model file and of metrics.jsonl. Memory is VmHWM
(peak) and VmRSS of /proc, twice per second: `early` is the peak in the first half of a process, `late` at its end. The
slope is that of VmRSS in the second half. It exits with 1 where a run differs.
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
from timing import memory

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
PAUSE = 0.5  # seconds between two reads of the memory
TIMED = 8  # iterations that measure the time per iteration


@dataclass
class Life:
    """A process and its memory while it trains."""

    process: subprocess.Popen[bytes]
    seconds: list[float] = field(default_factory=list)
    resident: list[float] = field(default_factory=list)
    """MB."""
    peaks: list[float] = field(default_factory=list)
    """MB, the peak so far."""

    def watch(self, until: Callable[[], bool], seconds: float = float("inf")) -> None:
        """Read its memory until a condition holds, the seconds are over, or it ends."""
        end = time.monotonic() + seconds
        while self.process.poll() is None:
            read = memory(self.process.pid)
            if "VmHWM" in read:  # not in a process that has just ended
                self.seconds.append(time.monotonic())
                self.resident.append(read["VmRSS"])
                self.peaks.append(read["VmHWM"])
            if until() or (left := end - time.monotonic()) <= 0:
                break
            time.sleep(min(PAUSE, left))

    def early(self) -> float:
        """Return the peak in the first half, in MB."""
        return self.peaks[len(self.peaks) // 2]

    def slope(self) -> float:
        """Fit the resident memory of the second half; return MB per hour."""
        half = len(self.seconds) // 2
        seconds = np.subtract(self.seconds[half:], self.seconds[half])
        return 3600 * float(np.polyfit(seconds, self.resident[half:], 1)[0])


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
        """Start a run, or resume the one in the folder; return once the process has the run's lock."""
        recipe = self.folder / "recipe.yaml"
        recipe.write_text(json.dumps(RECIPE))  # JSON is YAML
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
        lock.unlink(missing_ok=True)  # of the previous process
        with (self.folder / "log").open("wb") as log:
            process = subprocess.Popen([*STORYGAN, "train", *arguments], stdout=log, stderr=log)
        while process.poll() is None and not lock.exists():
            time.sleep(0.05)
        self.lives.append(Life(process))
        return self.lives[-1]

    def end(self, life: Life) -> None:
        """Wait for a process. Raises RuntimeError with its output where it fails."""
        life.watch(lambda: False)
        if life.process.wait():
            raise RuntimeError(f"exit {life.process.returncode}: {(self.folder / 'log').read_text()[-2000:]}")

    def seconds_an_iteration(self) -> float:
        """Measure the adversarial stage in a run that is then killed."""
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
    """Run all three parts. Raises RuntimeError where a run fails, AssertionError where a kill leaves a torn file."""
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
    reference = soak.start(whole := soak.folder / "whole")
    soak.end(reference)
    print(f"reference: {(time.monotonic() - start) / 60:.1f} minutes, with its start", flush=True)
    return killed(soak, whole, minutes, every) | {
        "undisturbed, peak early, MB": reference.early(),
        "undisturbed, peak late, MB": reference.peaks[-1],
        "undisturbed, slope, MB an hour": reference.slope(),
    }


def killed(soak: Soak, whole: Path, minutes: float, every: float) -> dict[str, object]:
    """Kill and resume until the time is over and the last run has finished."""
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
    parser.add_argument("--minutes", type=float, default=120, help="duration of part 3")
    parser.add_argument("--every", type=float, default=60, help="approximate seconds between checkpoints")
    parser.add_argument("--seed", type=int, default=0, help="of the times of kills, and of training")
    parser.add_argument("--json", action="store_true", help="the figures as a last line of JSON")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that every training is killed
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
