"""Which parts stay in floats."""

from collections.abc import Sequence
from typing import final

from evo_qnas.summary.health.base import HealthCheck
from evo_qnas.summary.network import ValidatedNetwork
from evo_qnas.summary.run import RunSummary
from evo_qnas.summary.verdict import State

# Bits of activations from which on a block computes in floats.
_FLOAT_BITS = 32


@final
class FloatPartsCheck(HealthCheck):
    """Names blocks that were kept in floats, and convolutions that ONNX Runtime computes in floats."""

    about = "do parts of the networks stay in floats, by choice or in the runtime"

    def judge(self, run: RunSummary) -> tuple[State, str] | None:
        """The answer."""
        if not run.networks:
            return None
        chosen = sorted(
            {b.block for network in run.networks for b in network.blocks if b.activation_bits >= _FLOAT_BITS}
        )
        sentences = [f"Kept in floats in some networks: {', '.join(chosen)}."] if chosen else []
        known = [network for network in run.networks if _counts(network) is not None]
        worst = max(known, key=_in_float, default=None)
        if worst is not None and _in_float(worst) > 0:
            convolutions, _ = _counts(worst) or (0, 0)
            sentences.append(
                f"ONNX Runtime computes {_in_float(worst)} of {convolutions} convolutions of {worst.id} in floats."
            )
        if sentences:
            return State.NOTE, " ".join(sentences)
        return None if worst is None else (State.GOOD, _all_integer(known))


def _counts(network: ValidatedNetwork) -> tuple[int, int] | None:
    """How many convolutions the file has, and how many of them run in integers; None where it was not counted."""
    entry = network.onnx or {}
    found = entry.get("convolutions"), entry.get("integer_convolutions")
    return (int(found[0]), int(found[1])) if isinstance(found[0], int) and isinstance(found[1], int) else None


def _in_float(network: ValidatedNetwork) -> int:
    convolutions, integer = _counts(network) or (0, 0)
    return convolutions - integer


def _all_integer(networks: Sequence[ValidatedNetwork]) -> str:
    return f"ONNX Runtime computes every convolution of {len(networks)} files in integers."
