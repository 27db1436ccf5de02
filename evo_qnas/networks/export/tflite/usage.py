"""How a TFLite file is run."""

from pathlib import Path

from evo_qnas.networks.bundle import Facts
from evo_qnas.networks.export.facts import in_words
from evo_qnas.networks.export.tflite.interpreters import open_interpreter


def usage(path: Path, facts: Facts) -> tuple[str, ...]:
    """Four lines of Python that run a file: one image, channels last."""
    interpreter, words = open_interpreter(path), in_words(facts)
    given = [
        f'interpreter.set_tensor({entry["index"]}, numpy.zeros({tuple(map(int, entry["shape"]))}, "{_name(entry)}"))'
        for entry in interpreter.get_input_details()
    ]
    results = ", ".join(f"interpreter.get_tensor({entry['index']})" for entry in interpreter.get_output_details())
    return (
        "import numpy; from ai_edge_litert.interpreter import Interpreter",
        f'interpreter = Interpreter("{path.name}"); interpreter.allocate_tensors()',
        "; ".join(given) + (f"  # {words}" if words else ""),
        f"interpreter.invoke(); outputs = [{results}]",
    )


def _name(entry: dict[str, object]) -> str:
    return str(getattr(entry["dtype"], "__name__", entry["dtype"]))
