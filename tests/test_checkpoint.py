"""Checkpoints: what is saved comes back, whole or not at all."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.checkpoint import load_metadata, load_model, load_tensors, save_model, save_tensors
from schemas import storage
from schemas.errors import CorruptDataError, RunError
from tests.models import TINY, packed_inputs, tiny_glm

TENSORS = {"step": torch.tensor(3), "mean": torch.ones(2, 3).T, "half": torch.ones(2).bfloat16()}


def test_a_saved_model_computes_the_same_after_loading(tmp_path: Path) -> None:
    model, inputs = tiny_glm(), packed_inputs([(6, 3)], 6)
    save_model(model, tmp_path / "model.safetensors")
    loaded = load_model(tmp_path / "model.safetensors", TINY).eval()
    assert torch.equal(inputs.hidden(loaded), inputs.hidden(model))
    assert all(parameter.requires_grad for parameter in loaded.parameters())


def test_the_tied_head_is_stored_once(tmp_path: Path) -> None:
    model = tiny_glm()
    save_model(model, tmp_path / "model.safetensors")
    stored = load_tensors(tmp_path / "model.safetensors")
    assert sum(tensor.numel() for tensor in stored.values()) == sum(
        parameter.numel() for parameter in model.parameters()
    )


def test_tensors_and_metadata_come_back_as_given(tmp_path: Path) -> None:
    save_tensors(TENSORS, tmp_path / "state.safetensors", {"step": "3"})
    loaded = load_tensors(tmp_path / "state.safetensors")
    assert loaded.keys() == TENSORS.keys()
    for name, tensor in TENSORS.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert load_metadata(tmp_path / "state.safetensors") == {"step": "3"}


def test_equal_contents_are_equal_bytes(tmp_path: Path) -> None:
    metadata = {str(number): "x" for number in range(9)}
    save_tensors(TENSORS, tmp_path / "a", metadata)
    save_tensors(dict(reversed(TENSORS.items())), tmp_path / "b", dict(reversed(metadata.items())))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.fault
def test_a_failed_write_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state.safetensors"
    save_tensors(TENSORS, path)
    before = path.read_bytes()

    def fail(_: Path) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(storage, "flush", fail)
    with pytest.raises(OSError, match="no space left"):
        save_tensors({"step": torch.tensor(4)}, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.fault
def test_loaded_tensors_outlive_their_file(tmp_path: Path) -> None:
    path = tmp_path / "state.safetensors"
    save_tensors({"big": torch.ones(100_000)}, path)
    loaded = load_tensors(path)
    path.write_bytes(b"")
    assert loaded["big"].sum() == 100_000


@pytest.mark.fault
@pytest.mark.parametrize("size", [0, 7, 40, -1])
def test_a_truncated_file_is_named(tmp_path: Path, size: int) -> None:
    path = tmp_path / "state.safetensors"
    save_tensors(TENSORS, path)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(CorruptDataError, match=r"state\.safetensors: not a whole safetensors"):
        load_tensors(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"nothing: no such checkpoint file"):
        load_tensors(tmp_path / "nothing")


def test_another_size_is_refused_with_both_shapes(tmp_path: Path) -> None:
    save_model(tiny_glm(), tmp_path / "model")
    with pytest.raises(RunError, match=r"word_embeddings.weight' has shape \(32, 16\), not \(64"):
        load_model(tmp_path / "model", replace(TINY, vocab_size=64))


@pytest.mark.parametrize(
    ("num_layers", "message"),
    [(3, "12 problems.*no tensor 'layers.2"), (1, "12 problems.*unknown tensor 'layers.1")],
)
def test_another_depth_is_refused_with_names(tmp_path: Path, num_layers: int, message: str) -> None:
    save_model(tiny_glm(), tmp_path / "model")
    with pytest.raises(RunError, match=message):
        load_model(tmp_path / "model", replace(TINY, num_layers=num_layers))
