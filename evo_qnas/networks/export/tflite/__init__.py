"""TFLite export of quantized networks and their parity with torch. Needs the extra `tflite` (`ai-edge-litert`).

- `export_tflite`: writes a network's file, checks it, gives what was found.
- `missing_packages`: what has to be installed for that.
- `translate`: from the captured graph to a file (`layers`, `moves`, `operations`, `values`, `builder`).
- `runtime`: a file as a torch module, and the kernels it asks for.

The file is written with the schema's own classes: the converter of torch graphs (`litert-torch`) takes given steps and
zero points over, but drops the limits of codes of fewer than 8 bits without a word, and wants packages of a gigabyte.
Nothing here imports `ai_edge_litert` before it is called.
"""

from evo_qnas.networks.export.tflite.exporting import export_tflite, missing_packages, require_packages

__all__ = ["export_tflite", "missing_packages", "require_packages"]
