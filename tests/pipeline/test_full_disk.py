"""A run in which every file of every stage meets a full disk once: one sentence each time, and the end is the same."""

import errno
import os
import re
from pathlib import Path

import pytest

from benchmarks.kill_run import contents, difference, make_inputs
from evo_qnas.errors import EvoQnasError
from evo_qnas.pipeline import load_card, run_card
from evo_qnas.pipeline.stored import export_stored

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="looks at names of open files in /proc"),
]


class FullOnce:
    """Flushes and reservations of a file fail the first time, as on a full disk that somebody then makes room on."""

    def __init__(self) -> None:
        self.failed: set[str] = set()
        self.right = {name: getattr(os, name) for name in ("fsync", "posix_fallocate")}

    def call(self, name: str, descriptor: int, *rest: int) -> None:
        path = re.sub(r"\.\d+\.part$", "", os.readlink(f"/proc/self/fd/{descriptor}"))
        # The dry run tries its files in a folder of its own, which has another name each time.
        path = re.sub(r"/tmp\w{8}/", "/", path)
        if path not in self.failed:
            self.failed.add(path)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.right[name](descriptor, *rest)


def test_every_file_of_a_run_meets_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_inputs(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    card = load_card(str(tmp_path / "card.toml"))
    run_card(*card, tmp_path / "unbroken", jobs=1, device="cpu")
    full = FullOnce()
    for name in full.right:
        monkeypatch.setattr(os, name, lambda *arguments, name=name: full.call(name, *arguments))
    sentences: list[str] = []
    while len(sentences) < 200:
        try:
            run_card(*card, tmp_path / "run", jobs=1, device="cpu")
        except EvoQnasError as error:
            sentences.append(str(error))
        else:
            break
    assert all("No space left on device" in text and "\n" not in text for text in sentences), sentences
    names = {Path(path).name for path in full.failed}
    for made in ("card.toml", "teacher.safetensors", "choices.json", "tables.h5", "archive.h5", "network.json"):
        assert any(made in name for name in names), (made, names)
    assert len(sentences) >= 20
    assert difference(contents(tmp_path / "run"), contents(tmp_path / "unbroken")) == ""
    identity = next((tmp_path / "run" / "networks").glob("*/network.json")).parent.name
    for _ in range(2):
        try:
            export_stored(tmp_path / "run", identity, tmp_path / "a.onnx", trust=True)
        except EvoQnasError as error:
            assert "No space left on device" in str(error)  # noqa: PT017 - the second time it ends well
            assert not (tmp_path / "a.onnx").exists()
    assert (tmp_path / "a.onnx").exists()
