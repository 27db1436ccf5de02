"""The engine half where torch is not installed."""

import subprocess
import sys
from pathlib import Path

_CODE = """
import sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "safetensors", "sklearn", "onnx", "onnxruntime"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Blocked())
import numpy as np
import evo_qnas as eq
rng = np.random.default_rng(0)
tables = eq.Tables.from_arrays({name: [rng.random(4) for _ in range(5)] for name in ("score", "size_bytes")})
archive = eq.search(eq.TableProblem(tables), evaluations=80, population=20, path=sys.argv[1], progress=False)
assert len(eq.Archive.load(sys.argv[1]).front) == len(archive.front) > 0
assert len(eq.exact_front(eq.TableProblem(tables)).genomes)
eq.compare(eq.TableProblem(tables), ["nsga2", "random"], seeds=2, evaluations=40, progress=False)
from typer.testing import CliRunner
from evo_qnas.cli import app
assert CliRunner().invoke(app, ["front", sys.argv[1]]).exit_code == 0
refused = CliRunner().invoke(app, ["run", "digits", "-o", sys.argv[1] + "-run"])
assert "which is not installed: pip install 'evo-qnas[train]'" in str(refused.exception), refused.exception
assert "torch" not in sys.modules
"""


def test_tables_search_archive_and_comparison_need_no_torch(tmp_path: Path) -> None:
    call = [sys.executable, "-c", _CODE, str(tmp_path / "a.h5")]
    found = subprocess.run(call, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
