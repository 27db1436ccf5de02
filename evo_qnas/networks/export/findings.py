"""What checks of a file find and ask for: kernels, tolerances, settings."""

from dataclasses import dataclass
from typing import final

from evo_qnas.data import Examples
from evo_qnas.networks.tasks.base import Task


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Kernels:
    """Layers of a file as its runtime runs them, and how many of them run in integer kernels."""

    convolutions: int
    integer_convolutions: int
    linear: int
    integer_linear: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """A compiler's account of a network or block.

    Attributes:
        milliseconds: of one image, its estimate; 0 of a compiler without one.
        flash_bytes: what it adds to a compiled file: weights as they are stored there, and what runs them.
        file_bytes: of its compiled file.
        outside: number of operators that its device leaves to another processor, whose time is not in the estimate.
    """

    milliseconds: float
    flash_bytes: int
    file_bytes: int
    outside: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """Largest distances of a file from torch in integers with which it passes its checks.

    Attributes:
        agreement: least mean of the task's agreement, where all activations have 8 bits.
        agreement_few_bits: the same where some have fewer.
        metric: largest difference of the metric; of one that is no share, as a share of the metric in torch.
        steps: largest difference of a code from what the reference makes of the file's own codes before it; one more
            behind an operation in floats. The contract test and the checks hold the runtime to it.
    """

    agreement: float
    agreement_few_bits: float
    metric: float
    steps: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CheckSettings:
    """Settings of the checks of an exported network.

    Attributes:
        images: labelled images to compare on.
        task: gives metric and agreement.
        seed: draws random inputs and the order of latency runs.
        latency: measure latency.
    """

    images: Examples
    task: Task
    seed: int = 0
    latency: bool = True
