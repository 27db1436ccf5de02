"""Shapes in signatures are checked while testing; real data is found or the test is skipped with a reason."""

import os
from pathlib import Path

import pytest
from jaxtyping import install_import_hook

# Before torch is imported: tests that run beside each other take a core each, as do the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_HOOK = install_import_hook("evo_qnas", "beartype.beartype")

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, `$EVO_QNAS_DATA` or `../shared/data`; skips where it is absent."""
    folder = Path(os.environ.get("EVO_QNAS_DATA", _ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"needs the real data at {folder} (or set EVO_QNAS_DATA)")
    return folder
