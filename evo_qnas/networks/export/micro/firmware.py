"""An example to start firmware from: a C++ main that runs a file once, its bytes as an array, and a CMake file."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, final

from evo_qnas.errors import NetworkError
from evo_qnas.files import write_text

# Room above the arena as measured here: a microcontroller's pointers are shorter, its kernels' buffers may be larger.
_ROOM = 1.1
_ALIGNMENT = 16
_BYTES_A_LINE = 16
# Methods of `MicroMutableOpResolver` whose names do not follow from the operator's.
_METHODS = {
    "BATCH_MATMUL": "BatchMatMul",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}

# Members of `TfLitePtrUnion` by the types of tensors, and those that hold codes.
_MEMBERS = {
    "FLOAT32": "f",
    "INT8": "int8",
    "UINT8": "uint8",
    "INT16": "i16",
    "INT32": "i32",
    "INT64": "i64",
    "BOOL": "b",
}
_CODES = ("int8", "uint8", "i16")

_MAIN = """// Runs the network once, on an input of zeros, and prints the codes that it gives. Written by evo-qnas.
#include <cstdint>

#include "model_data.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_log.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {{
// {arena} bytes as measured with 64-bit pointers, and a tenth. AllocateTensors() says so where it is too little.
constexpr int kArenaBytes = {room};
alignas(16) uint8_t arena[kArenaBytes];
}}  // namespace

int main() {{
  tflite::InitializeTarget();
  tflite::MicroMutableOpResolver<{count}> resolver;
{adds}
  tflite::MicroInterpreter interpreter(tflite::GetModel(kModel), resolver, arena, kArenaBytes);
  if (interpreter.AllocateTensors() != kTfLiteOk) {{
    MicroPrintf("the arena of %d bytes is too small", kArenaBytes);
    return 1;
  }}
{inputs}
  if (interpreter.Invoke() != kTfLiteOk) {{
    MicroPrintf("an operator failed");
    return 1;
  }}
{outputs}
  MicroPrintf("%d bytes of the arena used", static_cast<int>(interpreter.arena_used_bytes()));
  return 0;
}}
"""

_CMAKE = """# Builds the example for this machine, or for a board with -DCMAKE_TOOLCHAIN_FILE=... Written by evo-qnas.
#   git clone https://github.com/tensorflow/tflite-micro && cd tflite-micro
#   python3 tensorflow/lite/micro/tools/project_generation/create_tflm_tree.py ../tflm
#   cmake -B build -DTFLM=../tflm && cmake --build build && build/network
cmake_minimum_required(VERSION 3.16)
project(network C CXX)
set(TFLM "" CACHE PATH "tree made by create_tflm_tree.py of tflite-micro")
if(NOT EXISTS "${TFLM}/tensorflow/lite/micro/micro_interpreter.h")
  message(FATAL_ERROR "set -DTFLM= to a tree made by create_tflm_tree.py of tflite-micro: see CMakeLists.txt")
endif()
set(CMAKE_CXX_STANDARD 17)
file(GLOB_RECURSE SOURCES "${TFLM}/tensorflow/*.cc" "${TFLM}/tensorflow/*.c" "${TFLM}/third_party/*.c"
     "${TFLM}/signal/*.cc")
add_library(tflm STATIC ${SOURCES})
set(PARTS "${TFLM}/third_party")
target_include_directories(tflm PUBLIC "${TFLM}" "${PARTS}/flatbuffers/include" "${PARTS}/gemmlowp" "${PARTS}/kissfft"
                           "${PARTS}/ruy")
target_compile_definitions(tflm PUBLIC TF_LITE_STATIC_MEMORY)
add_executable(network main.cc model_data.cc)
target_link_libraries(network PRIVATE tflm)
"""

_HEADER = """// The network, {size} bytes of flash. Written by evo-qnas.
#pragma once

alignas(16) extern const unsigned char kModel[{size}];
"""

_ARRAY = """#include "model_data.h"

alignas(16) const unsigned char kModel[{size}] = {{
{array}}};
"""


def firmware_folder(path: Path) -> Path:
    """The folder of the example beside a file.

    Example:
        >>> firmware_folder(Path("out/digits.tflite")).as_posix()
        'out/digits.firmware'
    """
    return path.with_suffix(".firmware")


def write_firmware(path: Path, *, arena_bytes: int) -> tuple[Path, ...]:
    """Writes `main.cc`, `model_data.cc`, `model_data.h` and `CMakeLists.txt` into `firmware_folder`.

    They are an example: nothing here compiles them, since the sources of LiteRT for Microcontrollers are in no Python
    package.

    Args:
        path: of the file, with integers at its ends.
        arena_bytes: that its interpreter takes.

    Raises:
        NetworkError: an operator is not one of the runtime's own.
    """
    content, folder = path.read_bytes(), firmware_folder(path)
    operators, inputs, outputs = _contents(content)
    room = -(-int(arena_bytes * _ROOM) // _ALIGNMENT) * _ALIGNMENT
    main = _MAIN.format(
        arena=arena_bytes,
        room=room,
        count=len(operators),
        adds="\n".join(f"  resolver.{method_of(name)}();" for name in operators),
        inputs="\n".join(_filled(index, end) for index, end in enumerate(inputs)),
        outputs="\n".join(_printed(index, end) for index, end in enumerate(outputs)),
    )
    lines = [
        ",".join(str(value) for value in content[start : start + _BYTES_A_LINE])
        for start in range(0, len(content), _BYTES_A_LINE)
    ]
    texts = {
        "main.cc": main,
        "model_data.cc": _ARRAY.format(size=len(content), array=",\n".join(lines)),
        "model_data.h": _HEADER.format(size=len(content)),
        "CMakeLists.txt": _CMAKE,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_text(folder / name, text)
    return tuple(folder / name for name in texts)


def method_of(operator: str) -> str:
    """The method of `MicroMutableOpResolver` that adds an operator.

    Example:
        >>> method_of("DEPTHWISE_CONV_2D"), method_of("RELU6")
        ('AddDepthwiseConv2D', 'AddRelu6')
    """
    words = [word.upper() if re.fullmatch(r"\dD", word) else word.capitalize() for word in operator.split("_")]
    return f"Add{_METHODS.get(operator, ''.join(words))}"


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class _End:
    """An input or output of a file.

    Attributes:
        member: of `TfLitePtrUnion` that points to its numbers.
        size: how many.
        zero: zero point of its codes.
    """

    member: str
    size: int
    zero: int


def _contents(content: bytes) -> tuple[list[str], list[_End], list[_End]]:
    """Operators of a file by name, each once; its inputs and its outputs."""
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
    graph = model.subgraphs[0]
    codes = {names[model.operatorCodes[each.opcodeIndex].builtinCode] for each in graph.operators}
    if "CUSTOM" in codes:
        raise NetworkError("the file has an operator that LiteRT for Microcontrollers does not have")
    members = {getattr(schema.TensorType, kind): member for kind, member in _MEMBERS.items()}
    inputs, outputs = (
        [_end_of(graph.tensors[int(index)], members) for index in indices] for indices in (graph.inputs, graph.outputs)
    )
    return sorted(codes), inputs, outputs


def _end_of(tensor: Any, members: Mapping[int, str]) -> _End:
    zeros = getattr(tensor.quantization, "zeroPoint", None)
    zero = 0 if zeros is None or not len(zeros) else int(zeros[0])
    return _End(member=members[tensor.type], size=prod(int(length) for length in tensor.shape), zero=zero)


def _filled(index: int, end: _End) -> str:
    note = (
        "  // code = round(value / params.scale) + params.zero_point, channels last\n" if end.member in _CODES else ""
    )
    target = f"interpreter.input({index})->data.{end.member}[i]"
    return f"{note}  for (int i = 0; i < {end.size}; ++i) {target} = {end.zero};"


def _printed(index: int, end: _End) -> str:
    note = "  // value = (code - params.zero_point) * params.scale\n" if end.member in _CODES else ""
    value = f"interpreter.output({index})->data.{end.member}[i]"
    printed = (
        f'MicroPrintf("%f", static_cast<double>({value}))'
        if end.member == "f"
        else (f'MicroPrintf("%d", static_cast<int>({value}))')
    )
    return f"{note}  for (int i = 0; i < {end.size}; ++i) {printed};"
