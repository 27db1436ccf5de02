"""The interface of compilers that give an account of networks and blocks, and how one is found by its name."""

from abc import abstractmethod
from collections.abc import Iterable

from evo_qnas.errors import NetworkError
from evo_qnas.networks.export.findings import Footprint
from evo_qnas.networks.export.runtime import RUNTIMES, Runtime
from evo_qnas.networks.quantization.quantize import QuantizedNetwork


class CompilingRuntime(Runtime):
    """A compiler that gives an account of networks and of single blocks, from which tables get columns of a device.

    Attributes:
        estimates: its account has an estimate of latency; else it counts bytes alone.
    """

    estimates: bool = True

    @abstractmethod
    def footprints(self, networks: Iterable[QuantizedNetwork]) -> list[Footprint]:
        """The account of each network, or block that is quantized alone.

        Args:
            networks: calibrated; one may be the one before at other bits, so that each is read before the next one is
                asked for.

        Raises:
            NetworkError: as `write`.
        """


def compiling_runtime(name: str) -> CompilingRuntime:
    """The runtime called `name`, for columns of a device by a compiler's account.

    Raises:
        NetworkError: there is none, or it gives no account.
    """
    runtime = RUNTIMES.get(name)
    if not isinstance(runtime, CompilingRuntime):
        compilers = [key for key, each in RUNTIMES.items() if isinstance(each, CompilingRuntime)]
        raise NetworkError(f"the runtime {name!r} compiles nothing: [compiled] names one of {', '.join(compilers)}")
    return runtime
