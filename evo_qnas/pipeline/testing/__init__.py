"""Contracts of what a pipeline is made of, as test classes to inherit from; re-exported by `evo_qnas.testing`.

- `StageContract`: for every `Stage`.
"""

from evo_qnas.pipeline.testing.stages import StageContract

__all__ = ["StageContract"]
