"""`check`: the dry run of a live network."""

from collections.abc import Mapping, Sequence

from torch import nn

from evo_qnas.data.nests import Nest, rows
from evo_qnas.networks.candidates.blocks import find_blocks
from evo_qnas.networks.candidates.framing import block_of
from evo_qnas.networks.candidates.operators import Operator, build_candidate, load_operators
from evo_qnas.networks.candidates.spans import with_blocks
from evo_qnas.networks.checking.dry_run import DryRun
from evo_qnas.networks.checking.report import QuantizabilityReport
from evo_qnas.networks.quantization.quantize import Bits
from evo_qnas.networks.quantization.scheme import DEFAULT_SCHEME

DEFAULT_RUNTIMES = ("onnx",)


def check(
    model: nn.Module,
    example: Nest,
    *,
    blocks: Sequence[str] = (),
    operators: Sequence[str | Operator] = (),
    weight_bits: int = 8,
    activation_bits: int = 8,
    scheme: str = DEFAULT_SCHEME,
    runtimes: Sequence[str] = DEFAULT_RUNTIMES,
) -> QuantizabilityReport:
    """What becomes of a network, and of operators in place of its blocks, in each runtime that is installed.

    The network goes through capture, quantization, calibration, one step of fine-tuning and the translation to every
    runtime; so does every operator in place of every block, and one network with another operator in each. Nothing
    is raised for what does not go through: the report says it, and its `require()` raises.

    Args:
        model: stays unchanged but for being in evaluation mode.
        example: inputs of at least one example: a tensor, arguments in a tuple, or keyword arguments in a dict; of
            more than two the first two.
        blocks: names of the submodules that may be replaced.
        operators: that may replace them: names or paths of operator cards with their own defaults, or operators.
        weight_bits: of the blocks.
        activation_bits: of the blocks.
        scheme: name of the quantization scheme.
        runtimes: that are asked for; what they refuse cannot end, what others refuse is only said.

    Raises:
        NetworkError: a name is no block of the network.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 36, 4))
        >>> report = check(network, torch.randn(2, 3, 8, 8))
        >>> report.fits, [(row.operation, row.number) for row in report.rows]
        (True, [('input', 1), ('conv2d', 1), ('relu', 1), ('flatten', 1), ('linear', 1)])
    """
    model.eval()
    inputs = rows(example, slice(0, 2))
    model = with_blocks(model, blocks, inputs)
    shapes = find_blocks(model, blocks, inputs) if blocks else ()
    found: list[Operator] = []
    for each in operators:
        found += [each] if isinstance(each, Operator) else load_operators(each, {})
    candidates: dict[str, Mapping[str, nn.Module]] = {}
    for shape in shapes:
        own = block_of(model, shape.name)
        built = {each.label: build_candidate(each, shape, seed=0, block=own) for each in found}
        candidates[shape.name] = {label: module for label, module in built.items() if module is not None}
    few = Bits(weight=weight_bits, activation=activation_bits)
    return DryRun(
        teacher=model,
        example=inputs,
        shapes=shapes,
        candidates=candidates,
        fixed=Bits(weight=8, activation=8),
        few=few,
        scheme=scheme,
        binding=runtimes,
    ).report()
