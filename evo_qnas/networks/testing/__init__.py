"""Contracts of the network half, as test classes to inherit from; `evo_qnas.testing` has them too.

- `SchemeContract`: for every quantization scheme.
- `OperationContract`: for every operation.
"""

from evo_qnas.networks.testing.operations import OperationContract
from evo_qnas.networks.testing.schemes import SchemeContract

__all__ = ["OperationContract", "SchemeContract"]
