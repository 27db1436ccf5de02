"""The registry of operations, and questions to it."""

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any, final

from evo_qnas.errors import NetworkError
from evo_qnas.networks.capture.operations.operation import Operation, Role
from evo_qnas.registry import Registry

# An operation is the constant of its name in the file of its family.
_FAMILIES = {
    "layers": ("conv2d", "conv1d", "linear", "batch_norm"),
    "activations": ("relu", "relu6", "hardtanh"),
    "layout": (
        *("flatten", "view", "reshape", "squeeze", "unsqueeze", "permute", "transpose", "slice", "select", "expand"),
        *("dropout", "contiguous", "clone", "alias", "max_pool2d", "pad", "size"),
    ),
    "arithmetic": ("add", "sub", "mul", "div", "cat"),
    "pooling": ("mean", "adaptive_avg_pool2d", "avg_pool2d"),
    "resizing": ("upsample_nearest2d", "upsample_bilinear2d"),
    "functions": (*("sigmoid", "tanh", "hardswish", "hardsigmoid", "leaky_relu", "silu", "gelu", "softmax", "clamp"),),
}
_HERE = "evo_qnas.networks.capture.operations"

OPERATIONS: Registry[Operation] = Registry(
    "operation",
    "evo_qnas.operations",
    Operation,
    {name: f"{_HERE}.{family}:{name.upper()}" for family, names in _FAMILIES.items() for name in names},
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
