"""A Dask cluster that talks TLS, with certificates made here."""

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from evo_qnas.errors import JobError
from evo_qnas.jobs import connected, spread
from tests.jobs.clusters import dask_cluster

pytest.importorskip("distributed", reason="needs the extra dask: pip install 'evo-qnas[dask]'")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("default"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="makes certificates with openssl"),
]


def make_certificates(folder: Path, name: str) -> dict[str, str]:
    """An authority and a certificate signed by it; settings of Dask as variables of the environment."""
    folder.mkdir()

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "rsa:2048", "-nodes", "-days", "2")
    openssl("req", "-x509", *key, "-subj", f"/CN={name} authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", *key[:3], "-subj", f"/CN={name}", "-keyout", "own.key", "-out", "own.csr")
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
    openssl("x509", "-req", "-in", "own.csr", *signing, "-out", "own.pem")
    settings = {"DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(folder / "ca.pem")}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        settings[f"DASK_DISTRIBUTED__COMM__TLS__{role}__CERT"] = str(folder / "own.pem")
        settings[f"DASK_DISTRIBUTED__COMM__TLS__{role}__KEY"] = str(folder / "own.key")
    return settings


def use(settings: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings for this process, which read Dask's configuration long ago, and for those that it starts."""
    import dask

    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    dask.config.refresh()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Sequence[int]]]:
    use(make_certificates(tmp_path / "certificates", "cluster"), monkeypatch)
    folder = tmp_path / "cluster"
    folder.mkdir()
    with dask_cluster(folder, scheme="tls") as made:
        yield made
    monkeypatch.undo()
    import dask

    dask.config.refresh()


def test_work_over_tls_and_what_is_refused(
    cluster: tuple[str, Sequence[int]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, _ = cluster
    assert address.startswith("dask+tls://")
    with connected(address) as slots:
        assert slots == 2
        results = sorted(spread(os.path.basename, ["/a", "/b/c"], jobs=2))
    assert results == [(0, "a"), (1, "c")]
    with pytest.raises(JobError, match="no Dask scheduler answers"), connected(address.replace("+tls", "")):
        pass
    use(make_certificates(tmp_path / "others", "stranger"), monkeypatch)
    with pytest.raises(JobError, match="with certificates that fit those of this process"), connected(address):
        pass


def test_tls_without_certificates_is_one_sentence() -> None:
    with (
        pytest.raises(JobError, match=r"needs certificates: name them in Dask's configuration"),
        connected("dask+tls://127.0.0.1:8786"),
    ):
        pass
