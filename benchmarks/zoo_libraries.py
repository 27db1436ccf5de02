"""Preparation of libraries of public architectures, so that they import where their wheels fit another torch.

Wheels of torchvision and torchaudio name one torch release and load operators compiled for it. With torch's CPU build
of another release these do not load, and the import fails. The architectures need none of them:

- torchvision registers gradients and shapes of `nms` and `qnms` at import, and stops where the operators are missing.
  Declaring their schemas first lets it import; an architecture that called one would fail there.
- torchaudio loads its library in its own `__init__`, so that its package is entered here without running that file.
"""

import sys
from importlib.util import find_spec
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
# A library's operators are declared as long as this object lives.
_declared: list[torch.library.Library] = []


def prepare_libraries() -> None:
    """Makes torchvision and torchaudio importable; call it before importing anything that imports them."""
    if _declared:
        return
    library = torch.library.Library("torchvision", "DEF")
    _declared.append(library)
    for schema in _SCHEMAS:
        library.define(schema)
    spec = find_spec("torchaudio")
    if spec is not None:
        package = ModuleType("torchaudio")
        package.__path__ = list(spec.submodule_search_locations or ())
        package.__spec__ = spec
        sys.modules["torchaudio"] = package
