"""A sealed safetensors file is still one, says when it is damaged, and an unsealed one passes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save

from storygan.seal import checked, seal

TENSORS = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array(7, np.int64)}


def test_every_reader_opens_a_sealed_file(tmp_path: Path) -> None:
    content = seal(save(TENSORS, metadata={"format": "pt"}))
    for name, value in load(checked(content)).items():
        assert np.array_equal(value, TENSORS[name])
    (tmp_path / "x").write_bytes(content)
    with safe_open(tmp_path / "x", "np") as file:
        assert file.metadata()["format"] == "pt"
        assert len(file.metadata()["sha256"]) == 64


def test_a_changed_name_shape_or_value_is_found() -> None:
    content = seal(save(TENSORS))
    for was, becomes in ((b'"a"', b'"c"'), (b"[2,3]", b"[3,2]"), (b"F32", b"I32"), (content[-8:], bytes(8))):
        assert was in content
        with pytest.raises(ValueError, match="does not fit its checksum"):
            checked(content.replace(was, becomes))


def test_a_file_without_a_seal_passes_unless_it_is_cut_short() -> None:
    content = save(TENSORS)
    assert checked(content) == content
    for torn in (b"", content[:7], content[:20]):
        with pytest.raises(ValueError, match="cut short"):
            checked(torn)
