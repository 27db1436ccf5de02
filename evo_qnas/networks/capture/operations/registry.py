"""The registry of operations, and questions to it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, final

from torch import fx

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.operations.operation import Operation, Role
from evo_qnas.registry import Registry

# An operation is the constant of its name in the file of its family.
_FAMILIES = {
    "layers": "conv2d conv1d conv3d conv_transpose1d conv_transpose2d embedding linear batch_norm",
    "activations": "relu relu6 hardtanh clamp clamp_min clamp_max",
    "layout": (
        "flatten unflatten view reshape squeeze unsqueeze contiguous alias dropout clone to permute transpose "
        "matrix_transpose movedim slice narrow select chunk split unbind diagonal index_select index gather triu "
        "tril roll flip expand repeat repeat_interleave pixel_shuffle pixel_unshuffle channel_shuffle im2col "
        "unfold pad max_pool2d max_pool1d max_pool3d adaptive_max_pool amax amin max_of_axis min_of_axis size"
    ),
    "arithmetic": (
        "add sub rsub mul div div_rounded remainder minimum maximum addcmul cat stack slice_scatter select_scatter copy"
    ),
    "pooling": (
        "mean adaptive_avg_pool2d adaptive_avg_pool1d avg_pool2d avg_pool1d adaptive_avg_pool3d avg_pool3d sum var "
        "std var_mean logsumexp prod"
    ),
    "resizing": (
        "upsample_nearest2d upsample_nearest1d upsample_nearest3d upsample_nearest_exact upsample_bilinear2d "
        "upsample_linear1d upsample_trilinear3d upsample_bicubic2d upsample_antialiased"
    ),
    "norms": "layer_norm rms_norm group_norm instance_norm vector_norm",
    "products": "matmul baddbmm addmm einsum scaled_dot_product_attention",
    "masks": "eq ne lt le gt ge logical_and logical_or logical_not where masked_fill argmax argmin",
    "creation": "full arange",
    "functions": (
        "sigmoid tanh hardswish hardsigmoid silu mish elu selu celu gelu log_sigmoid leaky_relu softplus "
        "hardshrink softshrink exp expm1 log log1p log2 abs neg reciprocal sin cos atan erf sign floor ceil round "
        "rrelu prelu glu sqrt rsqrt square pow softmax log_softmax cumsum topk sort asin acos sinh cosh acosh "
        "atanh log10 exp2 trunc grid_sampler col2im"
    ),
}
_HERE = "evo_qnas.networks.capture.operations"

OPERATIONS: Registry[Operation] = Registry(
    "operation",
    "evo_qnas.operations",
    Operation,
    {name: f"{_HERE}.{family}:{name.upper()}" for family, names in _FAMILIES.items() for name in names.split()},
    error=NetworkError,
)


def operation_of(target: Any) -> Operation | None:
    """The operation to which an overload of ATen belongs, None where there is none."""
    return _by_overload(OPERATIONS.names()).get(target)


@lru_cache(maxsize=8)
def _by_overload(names: tuple[str, ...]) -> Mapping[Any, Operation]:
    """The operations called `names`, by overload."""
    operations: dict[Any, Operation] = {}
    for name in names:
        operation = OPERATIONS.get(name)
        for overload in operation.overloads:
            other = operations.setdefault(overload, operation)
            if other is not operation:
                raise NetworkError(f"{overload} belongs to two operations, {other.name!r} and {name!r}: remove one")
    return operations


def translation_of(
    target: Any, runtime: str, table: Mapping[Any, Callable[..., Any]], *, layout: bool
) -> Callable[..., Any] | None:
    """The translation of an overload to a runtime: the runtime's own, else that of the operation, else None.

    Args:
        target: overload of ATen.
        runtime: its name.
        table: the runtime's own translations.
        layout: of layout operations, or of all others.
    """
    operation = operation_of(target)
    if target in table or operation is None:
        return table.get(target)
    return operation.translations.get(runtime) if (operation.role is Role.LAYOUT) == layout else None


@final
class Overloads(Collection[Any]):
    """All overloads of the operations of one role, those of other packages too."""

    def __init__(self, role: Role) -> None:
        self.role = role

    def __contains__(self, target: object) -> bool:
        operation = operation_of(target)
        return operation is not None and operation.role is self.role

    def __iter__(self) -> Iterator[Any]:
        for target, operation in _by_overload(OPERATIONS.names()).items():
            if operation.role is self.role:
                yield target

    def __len__(self) -> int:
        return sum(1 for _ in self)


def stays_in_floats(node: fx.Node) -> bool:
    """True where a result leads to float arguments alone, by functions of each value or views: no quantizer rounds it.

    Attention scores behind a mask of minus infinity, and variances on their way to a root, have ranges that no codes
    of few bits can hold.
    """
    operation = operation_of(node.target) if node.op == "call_function" else None
    if operation is None or not node.users or not (operation.passes or operation.role is Role.LAYOUT):
        return False
    return all(_takes_floats(reader, node) for reader in node.users)


def _takes_floats(reader: fx.Node, node: fx.Node) -> bool:
    operation = operation_of(reader.target) if reader.op == "call_function" else None
    if operation is None:
        return False
    places = [place for place, argument in enumerate(reader.args) if argument is node]
    places += [-1] * sum(argument is node for argument in reader.kwargs.values())
    if operation.float_arguments and all(place in operation.float_arguments or place < 0 for place in places):
        return True
    return stays_in_floats(reader)
