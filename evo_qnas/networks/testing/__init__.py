"""Contracts that extensions of the network half must meet, as test classes to inherit from; they need pytest.

- `TaskContract`, `DataSourceContract`, `OperatorContract`, `SchemeContract`, `RoundingContract`, `OperationContract`,
  `RuntimeContract`: for every entry of these kinds. `evo_qnas.testing` has them too.
"""

from evo_qnas.networks.testing.data_sources import DataSourceContract
from evo_qnas.networks.testing.operations import OperationContract
from evo_qnas.networks.testing.operators import OperatorContract
from evo_qnas.networks.testing.roundings import RoundingContract
from evo_qnas.networks.testing.runtimes import RuntimeContract
from evo_qnas.networks.testing.schemes import SchemeContract
from evo_qnas.networks.testing.tasks import TaskContract

__all__ = [
    "DataSourceContract",
    "OperationContract",
    "OperatorContract",
    "RoundingContract",
    "RuntimeContract",
    "SchemeContract",
    "TaskContract",
]
