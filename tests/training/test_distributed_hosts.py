"""`torchrun` and `fabric run` on this machine, and on several hosts that are its network namespaces."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.run_folders import differences, steps_logged
from tests.tiny_run import ENDS, ITERATIONS, new_run, one_stage
from tests.training.ranks import command, run_all

from storygan.models.storygan import StoryGAN
from storygan.training.checkpoint import checkpoint_paths, load_checkpoint

pytestmark = [pytest.mark.distributed, pytest.mark.slow, pytest.mark.timeout(1800)]
BIN = Path(sys.executable).parent
PATIENCE = 900
"""Seconds for what takes half a minute on an idle machine."""
PORT = 29517


class Started:
    """A command in its own session; its output goes to a file."""

    def __init__(self, arguments: list[object], log: Path, **environment: str) -> None:
        self.log = log
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [str(argument) for argument in arguments],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}", **environment},
                start_new_session=True,
            )

    def end(self) -> int:
        """Return the exit code; fail where the process does not end."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {PATIENCE} s: {self.log.read_text()}") from None

    def kill(self) -> None:
        """End the process and its workers: torchrun ends them on SIGTERM."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()

    def lines(self) -> list[str]:
        """Return the error lines of storygan."""
        text = self.log.read_text().replace("\r", "\n")
        return [line for line in text.splitlines() if line.startswith("storygan: ")]

    def workers(self) -> list[int]:
        """Return the process ids by rank."""
        pid = self.process.pid
        ids = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
        environments = {pid: Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") for pid in ids}
        return sorted(
            environments, key=lambda pid: next(int(v[5:]) for v in environments[pid] if v.startswith(b"RANK="))
        )


def until(condition: Callable[[], object], *started: Started) -> None:
    """Wait until the condition holds."""
    end = time.monotonic() + PATIENCE
    while not condition():
        for one in started:
            assert one.process.poll() is None, one.log.read_text()
        assert time.monotonic() < end, [one.log.read_text() for one in started]
        time.sleep(0.1)


@pytest.fixture(scope="module")
def data(make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(stories=8, T=1)


def test_torchrun_a_killed_worker_and_fabric_run(data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    training = new_run(data, folder, keep_checkpoints=1, **one_stage(iterations=10_000, batch_size=4))
    torchrun = ["torchrun", "--standalone", "--nproc-per-node=2", "-m", "--", "storygan"]
    first = Started([*torchrun, *training], tmp_path / "1")
    try:
        until(lambda: steps_logged(folder)[2:], first)
        os.kill(first.workers()[1], signal.SIGKILL)
        assert first.end() == 1
    finally:
        first.kill()
    (line,) = first.lines()
    assert line.startswith("storygan: process 0 of 2, on ")
    (checkpoint,) = checkpoint_paths(folder / "checkpoints")
    step = load_checkpoint(checkpoint)["step"]
    going_on = ["train", "--resume", folder, f"--stages.only.iterations={step + 2}"]
    second = Started(["fabric", "run", "--devices=2", BIN / "storygan", *going_on], tmp_path / "2")
    assert second.end() == 0, second.log.read_text()
    assert steps_logged(folder) == list(range(1, step + 3))
    StoryGAN.from_pretrained(folder / "model")


class Hosts:
    """Network namespaces 10.77.0.1, .2, ... on one switch, a bridge in a namespace of its own."""

    def __init__(self, number: int) -> None:
        self.names = [f"storygan-{os.getpid()}-{n}" for n in range(number)]
        self._switch = f"storygan-{os.getpid()}-switch"

    def __enter__(self) -> Hosts:
        for name in (self._switch, *self.names):
            ip("netns", "add", name)
        ip("-n", self._switch, "link", "add", "bridge", "type", "bridge")
        ip("-n", self._switch, "link", "set", "bridge", "up")
        for n, name in enumerate(self.names):
            ip("link", "add", "cable", "netns", name, "type", "veth", "peer", "name", f"port{n}", "netns", self._switch)
            ip("-n", self._switch, "link", "set", f"port{n}", "master", "bridge", "up")
            ip("-n", name, "address", "add", f"10.77.0.{n + 1}/24", "dev", "cable")
            ip("-n", name, "link", "set", "cable", "up")
            ip("-n", name, "link", "set", "lo", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for name in (*self.names, self._switch):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=60, check=False)

    def unplug(self, n: int) -> None:
        ip("-n", self._switch, "link", "set", f"port{n}", "down")

    def torchrun(self, n: int, arguments: list[str], log: Path, each: int = 1) -> Started:
        """Start `each` processes on host n, with the first host as the rendezvous."""
        torchrun = ["torchrun", f"--nnodes={len(self.names)}", f"--node-rank={n}", f"--nproc-per-node={each}"]
        rendezvous = ["--master-addr=10.77.0.1", f"--master-port={PORT}"]
        return self._on(n, [*torchrun, *rendezvous, "-m", "--", "storygan", *arguments], log)

    def fabric_run(self, n: int, arguments: list[str], log: Path, each: int = 1) -> Started:
        """Do the same with Lightning's launcher."""
        fabric = ["fabric", "run", f"--num-nodes={len(self.names)}", f"--node-rank={n}", f"--devices={each}"]
        rendezvous = ["--main-address=10.77.0.1", f"--main-port={PORT}"]
        return self._on(n, [*fabric, *rendezvous, BIN / "storygan", *arguments], log)

    def _on(self, n: int, line: list[object], log: Path) -> Started:
        return Started(["ip", "netns", "exec", self.names[n], *line], log, GLOO_SOCKET_IFNAME="cable")


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, timeout=60)


@pytest.fixture
def hosts() -> Callable[[int], Hosts]:
    """Return `Hosts`; skip where they cannot be made."""
    if shutil.which("ip") is None:
        pytest.skip("hosts are made with `ip netns`: install iproute2")
    try:
        with Hosts(1):
            pass
    except subprocess.CalledProcessError as error:
        pytest.skip(f"`ip netns` needs root and a kernel with namespaces: {error.stderr.decode().strip()}")
    return Hosts


@pytest.mark.parametrize(
    ("start", "number", "each"),
    [(Hosts.torchrun, 2, 1), (Hosts.torchrun, 3, 1), (Hosts.torchrun, 2, 2), (Hosts.fabric_run, 2, 1)],
)
def test_hosts_train_together(
    hosts: Callable[[int], Hosts], data: Path, tmp_path: Path, start: Callable[..., Started], number: int, each: int
) -> None:
    """Each host has its own copy of the stories, and the main one the run folder; the numbers equal one machine's."""
    started, sizes = [], {f"stages.{stage}.batch_size": 2 * number * each for stage in ENDS}
    with hosts(number) as network:
        try:
            for n in range(number):
                host = tmp_path / f"host{n}"
                shutil.copytree(data, host / "data", ignore=shutil.ignore_patterns(".cache"))
                (host / "run.yaml").write_text(f"run: {host}/run\n")  # torchrun's own --run is nearer to `fabric run`
                train, recipe, *options = new_run(host / "data", host / "run", timeout=600, **sizes)
                options.remove(f"--run={host}/run")
                arguments = [train, f"--config={recipe}", f"--config={host}/run.yaml", *options]
                started.append(start(network, n, arguments, tmp_path / f"log{n}", each))
            assert [one.end() for one in started] == [0] * number, [one.log.read_text() for one in started]
        finally:
            for one in started:
                one.kill()
    assert [path.parent.name for path in tmp_path.glob("host*/run")] == ["host0"]
    here = [command(new_run(data, tmp_path / "here", timeout=600, **sizes))] * number * each
    assert run_all(here, tmp_path / "logs")[0] == [0] * number * each
    assert differences(tmp_path / "host0/run", tmp_path / "here", ITERATIONS) == []


def test_a_host_that_disconnects_ends_all(hosts: Callable[[int], Hosts], data: Path, tmp_path: Path) -> None:
    """An unplugged cable closes no connection: `timeout` ends the wait."""
    folder, started = tmp_path / "run", []
    with hosts(2) as network:
        try:
            for n, run in enumerate((folder, tmp_path / "elsewhere")):
                arguments = new_run(data, run, timeout=60, **one_stage(iterations=10_000, batch_size=4))
                started.append(network.torchrun(n, arguments, tmp_path / f"log{n}"))
            until(lambda: steps_logged(folder)[2:], *started)
            network.unplug(1)
            assert all(one.end() != 0 for one in started)
        finally:
            for one in started:
                one.kill()
    assert any("has lost the others and ends" in line for line in started[0].lines()), started[0].log.read_text()
    assert checkpoint_paths(folder / "checkpoints")
