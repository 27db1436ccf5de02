"""Flash and RAM of a device as limits of a search."""

from evo_qnas.errors import CardError
from evo_qnas.tables import Tables
from evo_qnas.tables.roofline import load_device

_MEMORY = "peak_memory_bytes"


def device_limits(name: str, tables: Tables, *, scheme: str) -> list[str]:
    """The limits that a device sets, as a card's `constraints` have them.

    Flash counts what the device's compiler stores, or packed tensors where it has none; RAM counts the tensors of codes
    that live at once, without what an interpreter keeps beside them.

    Args:
        name: of a device card, or its path.
        tables: with the columns of the run.
        scheme: of the quantization.

    Raises:
        CardError: there is no such card, the device takes other schemes, or a section that counts is missing.

    Example:
        >>> import numpy as np
        >>> names = ("flash_bytes@tflite-micro", "peak_memory_bytes")
        >>> tables = Tables.from_arrays({name: [np.ones(2)] for name in names})
        >>> device_limits("cortex_m4", tables, scheme="per_channel")
        ['flash_bytes@tflite-micro <= 524288', 'peak_memory_bytes <= 131072']
    """
    device = load_device(name)
    if device.schemes and scheme not in device.schemes:
        raise CardError(
            f"search.device = {name!r} takes weights of {' or '.join(device.schemes)}, and quantization.scheme is "
            f"{scheme!r}: change one of them"
        )
    limits = []
    if device.flash_bytes is not None:
        column = f"flash_bytes@{device.compiler}" if device.compiler else "size_bytes"
        if column not in tables.columns:
            raise CardError(
                f"search.device = {name!r} counts flash by its compiler: add the section [compiled] with "
                f'runtimes = ["{device.compiler}"]'
            )
        limits.append(f"{column} <= {device.flash_bytes}")
    if device.ram_bytes is not None:
        if _MEMORY not in tables.columns:
            raise CardError(f"search.device = {name!r} limits memory, which the section [latency] counts: add it")
        limits.append(f"{_MEMORY} <= {device.ram_bytes}")
    return limits
