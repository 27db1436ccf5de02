"""LiteRT for Microcontrollers: full-integer TFLite files, its interpreter, and the memory that they take.

- `runtime`: the runtime `tflite-micro`.
- `interpreters`: its interpreter, which takes and gives codes.
- `firmware`: an example of firmware beside a file.
- `arena`: the bytes of memory that it works in, as it reports them and as they follow from the file.
"""
