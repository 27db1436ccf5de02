"""The whole method from Python: a model, data and a metric in, a front of networks out.

- `Study`: what a card says and more, of live objects; `compress`: all of it in one call.
- `operator`: a candidate operator with values for its parameters.
- `ChosenNetwork`: a validated network, to export or to run; `ExportedFile`: its file and what was found of it.
- `load_network`, `LoadedNetwork`: the network of a folder, without its data and teacher.
- `quantize`, `PostTrainingNetwork`: post-training quantization without a search.
- `making`, `live`, `digests`, `handing`: from arguments to a run, its fingerprints, and how workers get it.
"""

from evo_qnas.study.chosen import ChosenNetwork
from evo_qnas.study.compress import compress
from evo_qnas.study.exported import ExportedFile
from evo_qnas.study.loading import LoadedNetwork, load_network
from evo_qnas.study.operators import operator
from evo_qnas.study.quantized import PostTrainingNetwork, quantize
from evo_qnas.study.study import Study

__all__ = [
    "ChosenNetwork",
    "ExportedFile",
    "LoadedNetwork",
    "PostTrainingNetwork",
    "Study",
    "compress",
    "load_network",
    "operator",
    "quantize",
]
