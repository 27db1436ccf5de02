"""One job per device. No GPU is needed: what is claimed is a number."""

import errno
import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from evo_qnas.errors import JobError
from evo_qnas.jobs import claimed_device
from evo_qnas.jobs.devices import device_names


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_jobs_at_the_same_time_have_different_devices() -> None:
    with claimed_device(3) as one:
        with claimed_device(3) as two, claimed_device(3) as three:
            assert [one, two, three] == [0, 1, 2]
        with claimed_device(3) as again:
            assert again == 1


def test_a_job_waits_while_every_device_is_taken_and_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    got, told = threading.Event(), threading.Event()

    def job() -> None:
        with claimed_device(1) as index:
            assert index == 0
            got.set()
            told.wait(60)

    with claimed_device(1):
        thread = threading.Thread(target=job)
        thread.start()
        assert not got.wait(0.5)
    assert got.wait(60)
    told.set()
    thread.join(60)
    assert capsys.readouterr().err == "evo-qnas: every GPU is at work for another job: this one waits\n"


def test_the_device_of_a_killed_job_is_free_again(tmp_path: Path) -> None:
    code = (
        "import tempfile, time; tempfile.tempdir = r'%s'\n"
        "from evo_qnas.jobs import claimed_device\n"
        "with claimed_device(1) as index: print(index, flush=True); time.sleep(600)"
    )
    job = subprocess.Popen([sys.executable, "-c", code % tmp_path], stdout=subprocess.PIPE)
    assert job.stdout is not None
    assert job.stdout.readline() == b"0\n"
    with claimed_device(2) as beside:
        assert beside == 1
    job.kill()
    job.wait()
    job.stdout.close()
    with claimed_device(1) as index:
        assert index == 0


def test_devices_have_one_name_on_the_machine_whatever_a_process_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    assert device_names(2) == ("0", "1")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3, 1")
    assert device_names(2) == ("3", "1")
    with claimed_device(2) as index:
        assert index == 0
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1,3")
        with claimed_device(2) as other:
            assert other == 0, "1 is free, 3 is taken"


def test_a_folder_without_locks_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuse(*_: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(fcntl, "flock", refuse)
    with (
        pytest.raises(JobError, match=r"\.lock cannot be locked \(No locks available\): set TMPDIR"),
        claimed_device(1),
    ):
        pass


@pytest.mark.skipif(sys.platform == "win32", reason="folders of other users")
@pytest.mark.parametrize("how", ["link", "file", "open to all", "another owner"])
def test_a_folder_that_somebody_else_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """In a temporary folder that all users share, anybody can be first."""
    folder = tmp_path / f"evo_qnas-devices-{os.getuid()}"
    if how == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    elif how == "file":
        folder.touch()
    else:
        folder.mkdir(mode=0o700)
    if how == "open to all":
        folder.chmod(0o777)
    if how == "another owner":
        user = os.getuid()
        folder.rename(tmp_path / f"evo_qnas-devices-{user + 1}")
        monkeypatch.setattr(os, "getuid", lambda: user + 1)
    with (
        pytest.raises(JobError, match="is a link, or another user made it or can write to it: remove it"),
        claimed_device(1),
    ):
        pass
