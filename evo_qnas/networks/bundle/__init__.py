"""A quantized network as data: its graph in JSON, its integers in safetensors; nothing in it is code.

- `write_bundle`, `read_bundle`: `graph.json` and `weights.safetensors` of a folder.
- `graph`: nodes as JSON; `arguments`: what stands in their arguments; `modules`: layers and quantizers.
"""

from evo_qnas.networks.bundle.files import GRAPH, WEIGHTS, Facts, read_bundle, write_bundle

__all__ = ["GRAPH", "WEIGHTS", "Facts", "read_bundle", "write_bundle"]
