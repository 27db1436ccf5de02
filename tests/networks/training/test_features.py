"""The teacher's features: the same from memory, from mapped files and from the teacher, in any dtype and order."""

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.training.distill import block_features
from evo_qnas.networks.training.features import (
    FeatureSettings,
    TeacherFeatures,
    cache_features,
    features_bytes,
    open_features,
    output_variance,
)
from evo_qnas.networks.training.noise import channel_variance

BLOCKS = ["stages.0", "stages.1"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_memory_files_and_teacher_give_the_same(
    tmp_path: Path, teacher: nn.Module, labelled: Images, dtype: str
) -> None:
    shapes = find_blocks(teacher, BLOCKS, labelled.pixels[:2])
    settings = FeatureSettings(dtype=dtype)
    memory = cache_features(teacher, shapes, labelled, settings)
    cache_features(teacher, shapes, labelled, settings, folder=tmp_path, fingerprint="a")
    chosen = torch.tensor([5, 0, 127, 5])
    for name in BLOCKS:
        inputs, targets = block_features(teacher, name, labelled)
        disk = open_features(tmp_path, name, "a")
        assert disk is not None
        variance = channel_variance(targets)
        fresh = TeacherFeatures(teacher, name, labelled, variance=variance)
        for features, tolerance in ((memory[name], 0.01), (disk, 0.01), (fresh, 1e-5)):
            taken, given = features.take(chosen)
            assert taken.dtype is given.dtype is torch.float32
            assert torch.allclose(taken, inputs[chosen], rtol=tolerance, atol=tolerance)
            assert torch.allclose(given, targets[chosen], rtol=tolerance, atol=tolerance)
            assert torch.allclose(features.variance, variance, rtol=1e-4)
            assert len(features) == 128
        assert torch.equal(disk.take(chosen)[1], memory[name].take(chosen)[1])
        assert torch.allclose(output_variance(teacher, name, labelled), variance, rtol=1e-4)


def test_sizes_are_those_of_the_files(tmp_path: Path, teacher: nn.Module, labelled: Images) -> None:
    shapes = find_blocks(teacher, BLOCKS, labelled.pixels[:2])
    cache_features(teacher, shapes, labelled, FeatureSettings(dtype="float16"), folder=tmp_path)
    written = sum(path.stat().st_size for path in tmp_path.iterdir() if path.suffix != ".json")
    assert features_bytes(shapes, 128, "float16") == written


def test_features_of_another_teacher_are_not_taken(tmp_path: Path, teacher: nn.Module, labelled: Images) -> None:
    shapes = find_blocks(teacher, BLOCKS[:1], labelled.pixels[:2])
    assert open_features(tmp_path, "stages.0", "a") is None
    cache_features(teacher, shapes, labelled, FeatureSettings(), folder=tmp_path, fingerprint="a")
    assert open_features(tmp_path, "stages.0", "b") is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: "[" * 100_000,
        lambda content: "[]",
        lambda content: json.dumps({"fingerprint": "a", "channel_axis": 1}),
        *(
            lambda content, name=name, value=value: json.dumps({**content, name: value})
            for name, value in (("dtype", "text"), ("inputs", ["a"]), ("inputs", [1]), ("variance", None))
        ),
    ],
)
def test_damaged_features_are_made_again(tmp_path: Path, teacher: nn.Module, labelled: Images, damage: Any) -> None:
    shapes = find_blocks(teacher, BLOCKS[:1], labelled.pixels[:2])
    cache_features(teacher, shapes, labelled, FeatureSettings(), folder=tmp_path, fingerprint="a")
    assert open_features(tmp_path, "stages.0", "a") is not None
    path = tmp_path / "stages.0.json"
    path.write_text(damage(json.loads(path.read_text())))
    assert open_features(tmp_path, "stages.0", "a") is None


def test_features_that_were_cut_short_are_not_filled_with_zeros(
    tmp_path: Path, teacher: nn.Module, labelled: Images
) -> None:
    shapes = find_blocks(teacher, BLOCKS[:1], labelled.pixels[:2])
    cache_features(teacher, shapes, labelled, FeatureSettings(), folder=tmp_path, fingerprint="a")
    os.truncate(tmp_path / "stages.0.targets", 1000)
    assert open_features(tmp_path, "stages.0", "a") is None


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, teacher: nn.Module, labelled: Images) -> None:
    shapes = find_blocks(teacher, BLOCKS[:1], labelled.pixels[:2])
    (tmp_path / "stages.0.inputs").mkdir()
    with pytest.raises(NetworkError, match="cannot be mapped into memory"):
        cache_features(teacher, shapes, labelled, FeatureSettings(), folder=tmp_path)


def test_a_full_disk_is_known_before_a_file_is_mapped(
    tmp_path: Path, teacher: nn.Module, labelled: Images, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    shapes = find_blocks(teacher, BLOCKS[:1], labelled.pixels[:2])
    with pytest.raises(NetworkError, match=r"cannot be mapped into memory, .*: No space left on device; make room"):
        cache_features(teacher, shapes, labelled, FeatureSettings(), folder=tmp_path)
