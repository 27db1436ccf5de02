"""The sentence where a verb lacks a package."""

import pytest

from evo_qnas.cli.extras import needs_extra
from evo_qnas.errors import CardError


def test_a_missing_package_names_the_extra() -> None:
    sentence = r"evo-qnas run needs torch, which is not installed: pip install 'evo-qnas\[train\]'"
    with pytest.raises(CardError, match=sentence), needs_extra("evo-qnas run", "train"):
        raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_a_missing_module_of_ours_is_a_defect() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"evo_qnas.nothing"), needs_extra("evo-qnas run", "train"):
        raise ModuleNotFoundError("No module named 'evo_qnas.nothing'", name="evo_qnas.nothing")
