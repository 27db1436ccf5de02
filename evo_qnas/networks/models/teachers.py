"""Teachers of our own, and any `torch.nn.Module` a user brings."""

import pickle
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, final

import torch
from jaxtyping import Float
from torch import nn

from evo_qnas.errors import NetworkError
from evo_qnas.importing import imported
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


# What constructors of modules raise for numbers that they cannot use.
_REFUSALS = (TypeError, KeyError, ValueError, RuntimeError, ArithmeticError, AttributeError, MemoryError)
# What `torch.load` raises for files that are none of its.
_UNREADABLE = (
    *(RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError),
    *(AssertionError, MemoryError, pickle.UnpicklingError, struct.error),
)
_DTYPES = frozenset(
    {
        *(torch.float64, torch.float32, torch.float16, torch.bfloat16),
        *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
    }
)
# Far beyond published networks for small devices. Chosen.
_MOST_CHANNELS, _MOST_DEPTH, _MOST_BYTES = 65_536, 1_000, 16 << 30


def build_teacher(architecture: str, parameters: Mapping[str, Any]) -> nn.Module:
    """A teacher with fresh weights: one of `ARCHITECTURES`, or `module:function` called with the parameters.

    Raises:
        NetworkError: the name is unknown or the parameters do not fit.
    """
    if ":" in architecture:
        factory = _imported(architecture)
    elif architecture in ARCHITECTURES:
        factory = ARCHITECTURES[architecture]
        _check_size(architecture, parameters)
    else:
        raise NetworkError(
            f"there is no teacher {architecture!r}; there are: {', '.join(ARCHITECTURES)}, or 'module:function'"
        )
    try:
        teacher = factory(**parameters)
    except _REFUSALS as error:
        raise _refused(architecture, error) from error
    if not isinstance(teacher, nn.Module):
        raise NetworkError(f"teacher {architecture!r} gave a {type(teacher).__name__}, not a torch.nn.Module")
    return teacher


def _refused(architecture: str, error: Exception) -> NetworkError:
    text = (str(error).splitlines() or [type(error).__name__])[0]
    return NetworkError(f"teacher {architecture!r} does not accept its parameters: {text}")


def _imported(architecture: str) -> Callable[..., Any]:
    """The function that `module:function` names."""
    factory = imported(architecture, key="teacher.architecture", error=NetworkError)
    if not callable(factory):
        raise NetworkError(f"teacher.architecture = {architecture!r} is a {type(factory).__name__}, not a function")
    made: Callable[..., Any] = factory
    return made


def _check_size(architecture: str, parameters: Mapping[str, Any]) -> None:
    """Refuses numbers that are none of a network, and networks that no memory holds, before one is made."""
    _check_numbers(architecture, "teacher.parameters", parameters)
    try:
        # Tensors of the device "meta" have shapes and no memory; their values are drawn from nowhere.
        with torch.random.fork_rng(devices=[]), torch.device("meta"):
            size = sum(parameter.nbytes for parameter in ARCHITECTURES[architecture](**parameters).parameters())
    except _REFUSALS as error:
        raise _refused(architecture, error) from error
    if size > _MOST_BYTES:
        raise NetworkError(
            f"teacher {architecture!r} would take {size / 2**30:.0f} GiB of weights, more than {_MOST_BYTES >> 30}: "
            "make teacher.parameters smaller"
        )


def _check_numbers(architecture: str, key: str, value: Any) -> None:
    """Refuses counts below 1 or beyond those of any network, however deep they lie."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _check_numbers(architecture, f"{key}.{name}", inner)
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            _check_numbers(architecture, f"{key}.{index}", inner)
    elif isinstance(value, int) and not isinstance(value, bool):
        most = _MOST_DEPTH if key.endswith(".depth") else _MOST_CHANNELS
        if not 1 <= value <= most and not key.endswith(".dropout"):
            raise NetworkError(f"{key} must be from 1 to {most:,} for {architecture!r}")


def _check_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuses tensors without values, or with values that no trained network has."""
    for name, value in tensors.items():
        where = f"{path}: tensor {name!r}"
        if value.is_meta or value.layout is not torch.strided or value.dtype not in _DTYPES:
            kind = "no values" if value.is_meta else f"the kind {value.dtype}, {value.layout}"
            raise NetworkError(f"{where} has {kind}: save plain numbers, as state_dict() of a trained network has them")
        if not bool(torch.isfinite(value).all()):
            raise NetworkError(f"{where} has NaN or infinity: this is no trained network, train it anew")
        if name.endswith("running_var") and bool((value < 0).any()):
            raise NetworkError(f"{where} is a variance and has negative values: train the network anew")


@torch.no_grad()
def check_model(model: nn.Module) -> None:
    """Refuses a model whose weights, or running variances, no trained network has; other buffers may hold infinity.

    Raises:
        NetworkError: one sentence that names the tensor.
    """
    for name, weights in model.named_parameters():
        if not bool(torch.isfinite(weights).all()):
            raise NetworkError(f"the model's weights {name!r} have NaN or infinity: this is no trained network")
    for name, value in model.named_buffers():
        if name.endswith("running_var") and not bool(((value >= 0) & torch.isfinite(value)).all()):
            raise NetworkError(f"the model's {name!r} is a variance and has values below 0, NaN or infinity")


def _state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a state dict file; nothing but tensors and plain containers is unpickled."""
    if not path.is_file():
        raise NetworkError(f"there is no weights file {path}")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise NetworkError(f"{path} is no state dict of tensors that can be read without running code") from error
    if isinstance(content, dict) and isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    pairs = content.items() if isinstance(content, dict) else [(None, None)]
    # Nested tensors have no shape.
    if not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) and not value.is_nested for name, value in pairs
    ):
        raise NetworkError(f"{path} holds no state dict: save it with torch.save(network.state_dict(), path)")
    tensors: dict[str, torch.Tensor] = content
    return tensors


def load_teacher(teacher: nn.Module, path: Path) -> nn.Module:
    """`teacher` with the weights of a file, every name and shape checked.

    A safetensors file, or a state dict as `torch.save` writes it (`.pt`, `.pth`), read without running code.

    Raises:
        NetworkError: the file is missing or unreadable, or a tensor is missing, unknown, of another shape or has values
            that are no numbers.
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
    _check_tensors(path, tensors)
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
        NetworkError: the file is missing or unreadable, nothing in it fits, or has values that are no numbers.
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
    _check_tensors(path, fitting)
    teacher.load_state_dict({**own, **fitting})
    return len(fitting), len(own)


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    return _state_dict(path) if path.suffix in {".pt", ".pth"} else load_weights(path)[0]
