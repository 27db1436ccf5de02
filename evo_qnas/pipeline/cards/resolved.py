"""Resolved cards of run folders, read again."""

from pathlib import Path
from typing import Any

from evo_qnas.errors import CardError
from evo_qnas.summary.origin import is_of_python


def without_digests(values: dict[str, Any], path: Path) -> dict[str, Any]:
    """A card without the digests of code that the one of a run folder holds.

    Raises:
        CardError: it is that of a `Study`, whose model and data are in no card.
    """
    if is_of_python(values):
        folder = path.parent
        raise CardError(
            f"{folder} was made by a Study in Python, and only its script has the model and the data: call "
            f'study.network(ID).export("ID.onnx") or .blame() there, or evo_qnas.load_network({str(folder)!r}, ID) '
            "for the network alone"
        )
    return {name: value for name, value in values.items() if name != "workload"}
