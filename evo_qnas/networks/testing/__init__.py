"""Contracts of the network half, as test classes to inherit from; `evo_qnas.testing` has them too.

- `SchemeContract`: for every quantization scheme.
"""

from evo_qnas.networks.testing.schemes import SchemeContract

__all__ = ["SchemeContract"]
