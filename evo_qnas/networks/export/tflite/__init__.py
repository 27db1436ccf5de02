"""TFLite files of quantized networks and LiteRT. Needs the extra `tflite` (`ai-edge-litert`).

- `runtime`: the runtime.
- `translate`: from the captured graph to a file, node by node, for one image (`one_image`, `nodes`, `values`,
  `builder`).
- `layers`, `transposed`, `weights`, `rounding`: layers and quantizers. `operations`: what else computes with codes.
- `layout`, `choosing`, `copies`, `padding`, `moves`: what only moves numbers of any kind, and how axes lie in files.
- `functions`, `arithmetic`, `normalization`, `reductions`, `windows`, `resizing`: what is computed in floats, from the
  operators of `numbers`, in tables of `rows`; `decompose` takes other operations apart.
- `watching`: codes of a file, for a comparison with the reference.
- `interpreters`: interpreters of files, and the kernels that files ask for.

The file is written with the schema's own classes: the converter of torch graphs (`litert-torch`) takes given steps and
zero points over, but drops the limits of codes of fewer than 8 bits without a word, and wants packages of a gigabyte.
"""
