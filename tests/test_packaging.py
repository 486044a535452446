"""The package: its files, its imports, its metadata."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
import yaml

import storygan

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
WEIGHTS = ROOT / "src/storygan/weights"
MODELS = sorted(path.parent for path in WEIGHTS.glob("*/config.json"))
MODEL_FILES = {".json", ".safetensors", ".npy", ".npz", ".txt", ".md", ".png"}  # none of them can hold code


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built with the backend that the tests have installed: no network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (path,) = folder.iterdir()
    return zipfile.ZipFile(path)


def test_wheel_holds_the_package_and_the_models_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = set(wheel.namelist())
    package = {name for name in names if name.startswith("storygan/")}
    info = f"storygan-{storygan.__version__}.dist-info/"
    metadata = ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE", "licenses/LICENSE-CC-BY-SA-4.0")
    assert names - package == {info + name for name in metadata}
    for folder in MODELS:
        for file in folder.iterdir():
            assert f"storygan/weights/{folder.name}/{file.name}" in package
    tracked = subprocess.check_output(["git", "ls-files", "src/storygan"], cwd=ROOT, text=True).split()
    assert {name.removeprefix("src/") for name in tracked} <= package
    assert not [name for name in package if name.endswith((".pyc", ".pkl", ".pt", ".ckpt")) or "/.cache/" in name]


def test_the_page_on_pypi_has_absolute_links(wheel: zipfile.ZipFile) -> None:
    (name,) = (name for name in wheel.namelist() if name.endswith("METADATA"))
    page, readme = wheel.read(name).decode(), (ROOT / "README.md").read_text()
    repository, target = PYPROJECT["project"]["urls"]["Repository"], re.compile(r"(!?)\[[^]]*\]\(([^)\s]+)")
    links = [found for found in target.findall(readme) if not found[1].startswith(("https:", "#"))]
    assert len(links) > 20
    absolute = [(mark, f"{repository}/{'raw' if mark else 'blob'}/main/{path}") for mark, path in links]
    assert [found for found in target.findall(page) if found[1].startswith(repository)] == absolute


@pytest.mark.parametrize("folder", MODELS, ids=lambda folder: folder.name)
def test_shipped_model_is_complete_and_small(folder: Path) -> None:
    assert sum(file.stat().st_size for file in folder.iterdir()) < 12e6
    assert {"config.json", "model.safetensors", "README.md"} <= {file.name for file in folder.iterdir()}
    assert (folder / "README.md").read_text().strip(), "a model card says what the model was trained on"


def test_shipped_weights_hold_no_pickle() -> None:
    for file in (path for path in WEIGHTS.rglob("*") if path.is_file()):
        assert file.suffix in MODEL_FILES, file
        assert file.read_bytes()[:1] != b"\x80", f"{file} starts like a pickle"


def test_versions_agree() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    version = PYPROJECT["project"]["version"]
    assert storygan.__version__ == version == str(citation["version"])
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_citation_names_the_paper() -> None:
    paper = yaml.safe_load((ROOT / "CITATION.cff").read_text())["preferred-citation"]
    assert paper["title"] == "StoryGAN: A Sequential Conditional GAN for Story Visualization"
    assert (len(paper["authors"]), paper["year"], paper["start"], paper["end"]) == (9, 2019, 6329, 6338)


@pytest.mark.parametrize("arguments", [None, ["--help"], ["generate", "--help"], ["--version"]])
def test_import_and_help_are_light(arguments: list[str] | None) -> None:
    heavy = ["torch", "numpy", "pyarrow", "datasets", "lightning_fabric", "tensorboard", "PIL", "huggingface_hub"]
    call = f"try: storygan.cli.main({arguments})\nexcept SystemExit as stop: assert not stop.code\n"
    code = f"import sys, storygan\n{'import storygan.cli' if arguments else ''}\n{call if arguments else ''}"
    code += f"print('loaded:', [name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded: []"


def test_generation_needs_no_compiler(tmp_path: Path) -> None:
    """torch imports its compiler, 2 s, at calls that do not look like it."""
    story = [f"large red rubber cube at ({x}, 0)" for x in (-2, -1, 1, 2)]
    code = f"import sys, storygan.cli\nstorygan.cli.main({['generate', *story, '--out', str(tmp_path / 'x.png')]})\n"
    code += "print('compiler:', [name for name in sys.modules if name.startswith('torch._dynamo')])"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "compiler: []"


def test_base_install_is_light() -> None:
    base = {re.split(r"[<>=\[ ]", line)[0] for line in PYPROJECT["project"]["dependencies"]}
    assert not base & {
        "pyarrow",
        "datasets",
        "lightning-fabric",
        "tensorboard",
        "gradio",
        "scipy",
        "bpy",
        "torchvision",
    }


LOCKS = ("constraints.txt", "constraints-render.txt")


@pytest.mark.parametrize("file", LOCKS)
def test_constraints_pin_everything_that_is_declared_by_hashes(file: str) -> None:
    text = (ROOT / file).read_text().replace("\\\n", "")
    pins = re.findall(r"^([\w.-]+)(?:\[.*\])?==([^ ;]+)(.*)$", text, re.MULTILINE)
    assert len(pins) == len([line for line in text.splitlines() if line and not line.startswith("#")])
    assert [name for name, _, rest in pins if not re.search(r"--hash=sha256:[0-9a-f]{64}\b", rest)] == []
    assert not [version for _, version, _ in pins if "+" in version], "a local version exists on one machine alone"
    extras = dict(PYPROJECT["project"]["optional-dependencies"])
    render = extras.pop("render")
    del extras["fid"]  # it brings torchvision: in no environment of ours
    groups = [*extras.values(), *PYPROJECT["dependency-groups"].values(), PYPROJECT["build-system"]["requires"]]
    rest = [*PYPROJECT["project"]["dependencies"], *(name for group in groups for name in group)]
    declared = render if file == "constraints-render.txt" else [name for name in rest if isinstance(name, str)]
    names = {re.split(r"[<>=\[; ]", line)[0].lower() for line in declared} - {"storygan"}
    assert names <= {re.sub(r"[-_.]+", "-", name).lower() for name, _, _ in pins}, "run `make lock`"


def test_the_extra_all_has_the_others_but_blender_and_inception() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    assert set(re.findall(r"[\w-]+", everything)) - {"storygan"} == set(extras) - {"all", "fid", "render"}


def test_the_audit_asks_about_every_pin() -> None:
    assert set(runpy.run_path(str(ROOT / "scripts/audit.py"))["ENVIRONMENTS"]) == set(LOCKS)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_fresh_clone_generates_a_story_with_the_base_install(tmp_path: Path) -> None:
    clone = tmp_path / "storygan"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    path = [folder for folder in os.environ["PATH"].split(os.pathsep) if not folder.startswith(sys.prefix)]
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name in ("HOME", "LANG")}
    subprocess.run(["make", "story"], cwd=clone, env={**kept, "PATH": os.pathsep.join(path)}, check=True)
    assert (clone / "story.png").read_bytes().startswith(b"\x89PNG")
    installed = subprocess.check_output([clone / ".venv/bin/python", "-m", "pip", "list"], text=True)
    assert "safetensors" in installed
    assert "pyarrow" not in installed
    shutil.rmtree(clone)  # a gigabyte


@pytest.mark.slow
@pytest.mark.parametrize("package", ["hatchling", "pyyaml"])
def test_make_refuses_a_file_with_another_hash(tmp_path: Path, package: str) -> None:
    """Of what builds the package, and of what it needs."""
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("weights", "sample", "__pycache__"))
    for name in ("Makefile", "README.md", "LICENSE", "LICENSE-CC-BY-SA-4.0", "scripts"):
        (shutil.copytree if name == "scripts" else shutil.copy)(ROOT / name, tmp_path / name)
    pyproject = (ROOT / "pyproject.toml").read_text()
    (tmp_path / "pyproject.toml").write_text(re.sub(r'    "torch>=.*\n', "", pyproject))  # a gigabyte
    pin = re.compile(rf"^{package}==(?:.*\\\n)*.*$", re.MULTILINE)
    text = pin.sub(lambda match: re.sub(r":[0-9a-f]{8}", ":00000000", match[0]), (ROOT / "constraints.txt").read_text())
    (tmp_path / "constraints.txt").write_text(text)
    done = subprocess.run(["make", ".venv/.installed-base"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"Hash mismatch for `{package}==" in done.stderr
    shutil.rmtree(tmp_path / ".venv")
