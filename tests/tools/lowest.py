"""The lowest version of each direct dependency, as constraints for pip.

python -m tests.tools.lowest train onnx test > lowest.txt    # of the library and of these extras
pip install -c lowest.txt -e ".[train,onnx,test]"
"""

import re
import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parent.parent.parent / "pyproject.toml"


def constraints(pyproject: str, extras: list[str]) -> list[str]:
    """`name==version` for each dependency that states a lowest version."""
    project = tomllib.loads(pyproject)["project"]
    optional = project.get("optional-dependencies", {})
    wanted = [*project["dependencies"], *(line for extra in extras for line in optional[extra])]
    found = (re.match(r"([A-Za-z0-9._-]+)(?:\[.*?\])?\s*>=\s*([0-9.]+)", line) for line in wanted)
    return sorted({f"{match[1]}=={match[2]}" for match in found if match})


if __name__ == "__main__":
    print("\n".join(constraints(PYPROJECT.read_text(encoding="utf-8"), sys.argv[1:])))
