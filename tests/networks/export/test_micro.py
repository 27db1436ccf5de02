"""Full-integer TFLite files: their ends, LiteRT for Microcontrollers, and its memory."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from evo_qnas.data import Images
from evo_qnas.errors import NetworkError
from evo_qnas.networks.export import RUNTIMES, Runtime, export
from evo_qnas.networks.export.common.packages import missing_of
from evo_qnas.networks.integer.reference import run_in_integers
from evo_qnas.networks.tasks.base import metric_value
from evo_qnas.networks.tasks.classification import Classification
from evo_qnas.networks.testing.runtimes import RuntimeContract
from tests.networks.export.conftest import quantized, random_network

pytest.importorskip("ai_edge_litert", reason="needs the extra tflite: pip install 'evo-qnas[tflite]'")

from evo_qnas.networks.export.micro.arena import Arena, foretold_arena, measured_arena
from evo_qnas.networks.export.micro.firmware import method_of, write_firmware
from evo_qnas.networks.export.micro.interpreters import End, ends_of, open_reference, run
from evo_qnas.networks.export.tflite.builder import TfliteBuilder
from evo_qnas.networks.export.tflite.integer_ends import with_integer_ends
from evo_qnas.networks.export.tflite.interpreters import interpreter_of, open_interpreter
from evo_qnas.networks.export.tflite.interpreters import run as run_floats
from evo_qnas.networks.export.tflite.translate import to_tflite

needs_micro = pytest.mark.skipif(
    bool(RUNTIMES.get("tflite-micro").missing()), reason="needs the extra micro: pip install 'evo-qnas[micro]'"
)


class TestMicro(RuntimeContract):
    def make_runtime(self) -> Runtime:
        return RUNTIMES.get("tflite-micro")


def operators_of(content: bytes) -> list[str]:
    from ai_edge_litert import schema_py_generated as schema

    model: Any = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content))
    names = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    return [names[model.operatorCodes[each.opcodeIndex].builtinCode] for each in model.subgraphs[0].operators]


@pytest.mark.parametrize("seed", range(4))
def test_codes_at_the_ends_give_what_floats_there_give(seed: int, tmp_path: Path) -> None:
    network, pixels = random_network(seed)
    floats, codes = tmp_path / "floats.tflite", tmp_path / "codes.tflite"
    floats.write_bytes(to_tflite(network))
    codes.write_bytes(with_integer_ends(floats.read_bytes()))
    kinds = operators_of(codes.read_bytes())
    assert kinds == operators_of(floats.read_bytes())[1:-1]
    assert not {"QUANTIZE", "DEQUANTIZE"} & {kinds[0], kinds[-1]}
    inputs, outputs = ends_of(codes.read_bytes())
    assert [(end.name, end.kind) for end in (*inputs, *outputs)] == [("image", np.int8), ("logits", np.int8)]
    details = interpreter_of(codes.read_bytes()).get_signature_list()
    assert details == {"serving_default": {"inputs": ["image"], "outputs": ["logits"]}}
    # The same kernels, so that nothing but the ends differs.
    given = run(replace_kernels(codes), pixels.numpy())
    np.testing.assert_allclose(
        given, run_floats(open_interpreter(floats, delegate=False), pixels.numpy()), rtol=1e-6, atol=1e-6
    )


def replace_kernels(path: Path) -> Any:
    """The session of a file with the kernels that `open_interpreter` takes without its delegate."""
    interpreter = interpreter_of(path.read_bytes(), delegate=False)

    def invoke(given: Any) -> Any:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], given[0])
        interpreter.invoke()
        return [interpreter.get_tensor(interpreter.get_output_details()[0]["index"])]

    return replace(open_reference(path), invoke=invoke)


def test_constants_of_a_rewritten_file_stay_aligned() -> None:
    content = with_integer_ends(to_tflite(random_network(1)[0]))
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content)
    filled = [model.Buffers(i) for i in range(model.BuffersLength()) if model.Buffers(i).DataLength()]
    starts = [buffer._tab.Vector(buffer._tab.Offset(4)) for buffer in filled]
    assert len(starts) > 5
    assert all(start % 16 == 0 for start in starts)


def test_an_input_that_floats_read_too_stays_float() -> None:
    builder = TfliteBuilder()
    image = builder.tensor("image", (1, 4), "FLOAT32")
    codes = builder.operator("QUANTIZE", (image,), builder.tensor("codes", (1, 4), "INT8", step=0.5))
    again = builder.operator("DEQUANTIZE", (codes,), builder.tensor("again", (1, 4), "FLOAT32"))
    other = builder.operator("NEG", (image,), builder.tensor("other", (1, 4), "FLOAT32"))
    inputs, outputs = ends_of(with_integer_ends(builder.content(inputs={"image": image}, outputs={"again": again})))
    assert [end.kind for end in (*inputs, *outputs)] == [np.float32, np.int8]
    both = builder.content(inputs={"image": image}, outputs={"again": again, "codes": codes, "other": other})
    assert operators_of(with_integer_ends(both)) == ["QUANTIZE", "DEQUANTIZE", "NEG"]


def test_ends_round_as_quantizers_do() -> None:
    end = End(name="image", shape=(4,), kind=np.int8, step=0.5, zero=3)
    codes = end.codes(np.array([0.25, 0.75, -1.0, 1e6], dtype=np.float32))
    assert codes.tolist() == [3, 5, 1, 127]
    assert end.floats(codes).tolist() == [0.0, 1.0, -1.0, 62.0]
    plain = End(name="image", shape=(1,), kind=np.float32, step=0.0, zero=0)
    assert plain.codes(np.array([0.3], dtype=np.float32)).dtype == np.float32


def test_a_forecast_counts_tensors_that_live_at_once() -> None:
    network = quantized(nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 2, 1)), torch.randn(4, 3, 4, 4))
    found = foretold_arena(with_integer_ends(to_tflite(network)))
    # 16 positions: 3 + 8 channels while the first layer runs, 8 + 2 while the second does.
    assert found.activations == 16 * 11
    assert Arena(activations=3, persistent=4).total == 7


@needs_micro
@pytest.mark.parametrize("seed", range(3))
def test_an_arena_is_the_one_foretold(seed: int, tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    RUNTIMES.get("tflite-micro").write(random_network(seed)[0], path)
    measured, foretold = measured_arena(path), foretold_arena(path.read_bytes())
    assert foretold.activations == measured.activations
    assert foretold.total == pytest.approx(measured.total, rel=0.1)


@needs_micro
def test_an_entry_tells_memory_and_equal_bits(tmp_path: Path) -> None:
    network, pixels = random_network(2)
    images = Images(pixels=pixels, labels=run_in_integers(network, pixels).argmax(1))
    runtime = RUNTIMES.get("tflite-micro")
    entry = export(network, tmp_path / "m.tflite", runtime, images=images, task=Classification(), latency=False)
    assert entry["litert_steps"] <= 1
    assert entry["arena_bytes"] > entry["arena_activation_bytes"] > 0
    assert [name for name, _ in runtime.details(entry, metric_value(Classification()))][1] == "arena"


@needs_micro
def test_files_that_no_interpreter_takes_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.tflite"
    with pytest.raises(NetworkError, match=r"^there is no TFLite file .*m\.tflite"):
        RUNTIMES.get("tflite-micro").open(path)
    path.write_bytes(b"no file")
    with pytest.raises(NetworkError, match=r"cannot load .*m\.tflite"):
        measured_arena(path)


def test_a_package_is_there_by_its_own_name_or_its_module() -> None:
    assert missing_of(["numpy", "scikit-learn", "evo-qnas-no-such-package"]) == ("evo-qnas-no-such-package",)


def test_the_example_of_firmware_holds_the_file_and_its_operators(tmp_path: Path) -> None:
    network, _ = random_network(0)
    path = tmp_path / "network.tflite"
    path.write_bytes(with_integer_ends(to_tflite(network)))
    written = write_firmware(path, arena_bytes=20_000)
    assert {file.name for file in written} == {"main.cc", "model_data.cc", "model_data.h", "CMakeLists.txt"}
    assert {file.parent.name for file in written} == {"network.firmware"}
    main, array = ((path.with_suffix(".firmware") / name).read_text() for name in ("main.cc", "model_data.cc"))
    numbers = array.partition("{")[2].partition("}")[0].replace("\n", "").split(",")
    assert bytes(map(int, numbers)) == path.read_bytes()
    kinds = set(operators_of(path.read_bytes()))
    assert sorted(re.findall(r"resolver\.(\w+)\(", main)) == sorted(method_of(kind) for kind in kinds)
    assert f"MicroMutableOpResolver<{len(kinds)}>" in main
    assert "kArenaBytes = 22000;" in main
    assert "data.int8[i] = " in main
    assert main.count("{") == main.count("}")


@pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake")
def test_cmake_says_where_the_sources_come_from(tmp_path: Path) -> None:
    network, _ = random_network(0)
    path = tmp_path / "network.tflite"
    path.write_bytes(with_integer_ends(to_tflite(network)))
    folder = write_firmware(path, arena_bytes=20_000)[0].parent
    made = subprocess.run(
        ["cmake", "-S", folder, "-B", tmp_path / "build"], capture_output=True, text=True, check=False
    )
    assert made.returncode
    assert "create_tflm_tree.py" in made.stderr
