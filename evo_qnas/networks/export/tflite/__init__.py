"""TFLite files of quantized networks and LiteRT. Needs the extra `tflite` (`ai-edge-litert`).

- `runtime`: the runtime.
- `translate`: from the captured graph to a file (`layers`, `layout`, `operations`, `values`, `builder`).
- `interpreters`: interpreters of files, and the kernels that files ask for.

The file is written with the schema's own classes: the converter of torch graphs (`litert-torch`) takes given steps and
zero points over, but drops the limits of codes of fewer than 8 bits without a word, and wants packages of a gigabyte.
"""
