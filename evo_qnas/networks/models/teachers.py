"""Teachers of our own, and any `torch.nn.Module` a user brings."""

import importlib
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.networks.models.deeplab import DeepLabV3
from evo_qnas.networks.models.layers import conv_bn, inverted_residual_stages
from evo_qnas.networks.models.weights import load_weights


@final
class InvertedResidualClassifier(nn.Module):
    """A MobileNetV2-style classifier: stem, stages of inverted residuals, head.

    Source: Sandler et al. 2018, MobileNetV2, table 2, with the stem's stride and the stages free.

    Attributes:
        stem: convolution 3 x 3.
        stages: one module per stage, the usual blocks of a search.
        head: convolution 1 x 1, mean over the map, linear layer.
    """

    def __init__(
        self,
        *,
        channels: int,
        classes: int,
        stem: int,
        stages: list[dict[str, int]],
        head: int,
        stem_stride: int = 1,
    ) -> None:
        """Builds the network.

        Args:
            channels: channels of the images.
            classes: number of classes.
            stem: channels of the stem.
            stages: per stage `channels`, `expansion`, `depth`, `stride`, `kernel` (3 where absent).
            head: channels before the linear layer.
            stem_stride: stride of the stem.
        """
        super().__init__()
        self.stem = conv_bn(channels, stem, kernel=3, stride=stem_stride)
        self.stages, width = inverted_residual_stages(stem, stages)
        self.head = nn.Sequential(conv_bn(width, head), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(head, classes))

    def forward(self, x: Float[torch.Tensor, "n c h w"]) -> Float[torch.Tensor, "n classes"]:
        """Logits `(n, classes)` of images `(n, channels, height, width)`."""
        logits: torch.Tensor = self.head(self.stages(self.stem(x)))
        return logits


ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "inverted_residual_classifier": InvertedResidualClassifier,
    "deeplabv3": DeepLabV3,
}


def build_teacher(architecture: str, parameters: Mapping[str, Any]) -> nn.Module:
    """A teacher with fresh weights: one of `ARCHITECTURES`, or `module:function` called with the parameters.

    Raises:
        NetworkError: the name is unknown or the parameters do not fit.
    """
    if ":" in architecture:
        module, _, name = architecture.partition(":")
        try:
            factory = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError) as error:
            raise NetworkError(f"teacher.architecture = {architecture!r} cannot be imported: {error}") from error
    elif architecture in ARCHITECTURES:
        factory = ARCHITECTURES[architecture]
    else:
        raise NetworkError(
            f"there is no teacher {architecture!r}; there are: {', '.join(ARCHITECTURES)}, or 'module:function'"
        )
    try:
        teacher = factory(**parameters)
    except (TypeError, KeyError, ValueError) as error:
        raise NetworkError(f"teacher {architecture!r} does not accept its parameters: {error}") from error
    if not isinstance(teacher, nn.Module):
        raise NetworkError(f"teacher {architecture!r} gave a {type(teacher).__name__}, not a torch.nn.Module")
    return teacher


def _state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict file; nothing but tensors and plain containers is unpickled."""
    if not path.is_file():
        raise NetworkError(f"there is no weights file {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, OSError, EOFError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise NetworkError(f"{path} is no state dict of tensors that can be read without running code") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    if not isinstance(content, dict) or not all(isinstance(value, torch.Tensor) for value in content.values()):
        raise NetworkError(f"{path} holds no state dict: save it with torch.save(network.state_dict(), path)")
    return content


def load_teacher(teacher: nn.Module, path: Path) -> nn.Module:
    """`teacher` with the weights of a file, every name and shape checked.

    A safetensors file, or a state dict as `torch.save` writes it (`.pt`, `.pth`), read without running code.

    Raises:
        NetworkError: the file is missing or unreadable, or a tensor is missing, unknown or of another shape.
    """
    tensors = _tensors(path)
    own = teacher.state_dict()
    for name, value in own.items():
        if name not in tensors:
            raise NetworkError(f"{path} has no tensor {name!r}, which the teacher needs")
        if tensors[name].shape != value.shape:
            raise NetworkError(
                f"{path}: tensor {name!r} has the shape {tuple(tensors[name].shape)}, "
                f"the teacher needs {tuple(value.shape)}"
            )
    for name in tensors:
        if name not in own:
            raise NetworkError(f"{path} has a tensor {name!r}, which the teacher does not know")
    teacher.load_state_dict(tensors)
    return teacher.eval()


def start_teacher(teacher: nn.Module, path: Path) -> tuple[int, int]:
    """Puts the weights of a file into a teacher that is about to learn, where name and shape are the same.

    So an encoder that learnt elsewhere, or a narrower version of the same network, is where training starts.

    Args:
        teacher: keeps its own values where the file has none that fit.
        path: as for `load_teacher`.

    Returns:
        Number of tensors taken over, and of all that the teacher has.

    Raises:
        NetworkError: the file is missing or unreadable, or nothing in it fits.
    """
    tensors, own = _tensors(path), teacher.state_dict()
    fitting = {
        name: tensors[name] for name, value in own.items() if name in tensors and tensors[name].shape == value.shape
    }
    if not fitting:
        raise NetworkError(
            f"{path} has no tensor of a name and shape that the teacher knows, such as {next(iter(own), None)!r}: "
            "rename them, or train without teacher.start"
        )
    teacher.load_state_dict({**own, **fitting})
    return len(fitting), len(own)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    return _state_dict(path) if path.suffix in {".pt", ".pth"} else load_weights(path)[0]
