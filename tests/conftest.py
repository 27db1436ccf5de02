"""Types and shapes in signatures are checked while testing; real data is found or the test is skipped with a reason.

The library looks for data in `$EVO_QNAS_DATA` alone; tests set it to `../shared/data` beside the checkout where it is
absent.
"""

import gc
import os
from pathlib import Path

import pytest

from tests.checked_signatures import install

# Before torch is imported: tests that run beside each other take a core each, as do the processes that they start.
os.environ.setdefault("OMP_NUM_THREADS", "1")

install("evo_qnas")

_BESIDE = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
if _BESIDE.is_dir():
    os.environ.setdefault("EVO_QNAS_DATA", str(_BESIDE))


def pytest_collection_finish() -> None:
    """Leaves what was imported and collected out of all further searches for garbage: it stays to the end."""
    gc.freeze()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data, `$EVO_QNAS_DATA` or `../shared/data`; skips where it is absent."""
    folder = Path(os.environ.get("EVO_QNAS_DATA", _BESIDE))
    if not folder.is_dir():
        pytest.skip(f"needs the real data at {folder} (or set EVO_QNAS_DATA)")
    return folder
