"""The models on the page, and the address it is served at. No web library is loaded here."""

import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.demo.serving import OPEN, serving

from storygan.cli import main
from storygan.demo.server import Models, free_port, load_models
from storygan.errors import UsageError
from storygan.models.storygan import StoryGAN
from storygan.text.minilm_encoder import MiniLMEncoder


def test_shipped_models_are_offered_by_name() -> None:
    assert list(load_models([])) == ["clevr-sv", "toon-sv"]


def test_a_shipped_model_without_its_sentence_encoder_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(MiniLMEncoder, "missing", lambda encoder: "pip install it")
    assert list(load_models([])) == ["clevr-sv"]
    assert capsys.readouterr().err == "storygan: the page leaves out toon-sv, which needs pip install it\n"
    assert list(load_models(["toon-sv"])) == ["toon-sv"]


def test_paths_of_models_are_not_shown(model: StoryGAN, tmp_path: Path) -> None:
    folders = [tmp_path / "secret" / name for name in ("first/model", "second/model", "other/first")]
    for folder in folders:
        model.save_pretrained(folder)
    assert list(load_models(list(map(str, folders)))) == ["first", "second", "first (2)"]


def test_only_plain_english_waits_for_its_encoder(model: StoryGAN) -> None:
    loaded = threading.Event()
    english: Any = SimpleNamespace(
        sentence_encoder=SimpleNamespace(kind="sentence"), encode=lambda stories: loaded.wait(60)
    )
    models = Models({"first": model, "english": english})
    models.wait_for(english)  # nothing is being loaded
    models.load_encoders()
    models.wait_for(model)
    waiting = threading.Thread(target=models.wait_for, args=(english,))
    waiting.start()
    assert waiting.is_alive()
    loaded.set()
    waiting.join(60)
    assert not waiting.is_alive()


def test_a_missing_model_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["demo", "--model", "nothing", "--port", "0"]) == 2
    assert capsys.readouterr().err.startswith("storygan: no model 'nothing'")


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_page_is_served_at_host_and_port(tmp_path: Path) -> None:
    port = free_port("127.0.0.1", 0)
    with serving(tmp_path, port, "--host", "0.0.0.0") as (_, address):
        assert address.endswith(f":{port}/")
        for host in ("127.0.0.1", "localhost", "127.0.0.2"):
            with OPEN(f"http://{host}:{port}/", timeout=60) as answer:
                assert "storygan" in answer.read().decode()


def test_a_port_in_use_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        assert main(["demo", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert str(port) in error


@pytest.mark.parametrize(("host", "port"), [("127.0.0.1", 70_000), ("256.0.0.1", 0), ("127.0.0.1", -1)])
def test_an_invalid_address(host: str, port: int) -> None:
    with pytest.raises(UsageError, match="cannot serve at"):
        free_port(host, port)
