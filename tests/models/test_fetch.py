"""The network is blocked in all tests; what comes from it is played by a server on this machine."""

import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from backlight.core.errors import ModelError
from backlight.models import fetch


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *_: object) -> None:
            return

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "hub" / "checkpoints"


def test_downloads_once_checks_the_hash_and_then_uses_the_cache(server: str, tmp_path: Path, cache: Path) -> None:
    content = b"weights"
    name = f"net-{hashlib.sha256(content).hexdigest()[:8]}.pth"
    (tmp_path / "served" / name).write_bytes(content)
    assert fetch.cached_url_file(f"{server}/{name}") is None
    path = fetch.url_file(f"{server}/{name}")
    assert path == cache / name
    assert path.read_bytes() == content
    (tmp_path / "served" / name).unlink()
    assert fetch.url_file(f"{server}/{name}") == fetch.cached_url_file(f"{server}/{name}") == path


def test_a_damaged_download_leaves_nothing_behind(server: str, tmp_path: Path, cache: Path) -> None:
    (tmp_path / "served" / "net-0123456789.pth").write_bytes(b"something else")
    with pytest.raises(ModelError, match="damaged"):
        fetch.url_file(f"{server}/net-0123456789.pth")
    assert list(cache.iterdir()) == []


def test_a_missing_file_is_said(server: str) -> None:
    with pytest.raises(ModelError, match="cannot be downloaded .*404"):
        fetch.url_file(f"{server}/nothing.pth")


def test_a_refused_connection_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ModelError, match="not in the local cache.*--random"):
        fetch.url_file(f"http://127.0.0.1:{port}/net.pth")


def test_a_name_that_is_never_resolved_does_not_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    release, done = threading.Event(), threading.Event()

    def look_up(*_: object, **__: object) -> list:
        release.wait()
        done.set()
        raise OSError("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    assert not fetch.reachable("example.org", 443, seconds=0.1)
    assert not done.is_set()  # the answer came while the look-up still hung
    release.set()
    assert done.wait(10)


def test_a_proxy_is_asked_in_the_hosts_place(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, int]] = []

    def reachable(host: str, port: int) -> bool:
        asked.append((host, port))
        return False

    monkeypatch.setattr(fetch, "reachable", reachable)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    with pytest.raises(ModelError, match=r"no answer from proxy\.example"):
        fetch.url_file("https://example.org/net.pth")
    assert asked == [("proxy.example", 3128)]


def hub_cache(folder: Path, repository: str, files: dict[str, bytes]) -> None:
    place = folder / f"models--{repository.replace('/', '--')}"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text("a" * 40)
    snapshot = place / "snapshots" / ("a" * 40)
    snapshot.mkdir(parents=True)
    for name, content in files.items():
        (snapshot / name).write_bytes(content)


def test_the_hubs_cache_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    hub_cache(tmp_path, "some/net", {"pytorch_model.bin": b"x"})
    found = fetch.hub_file("some/net", ["model.safetensors", "pytorch_model.bin"])
    assert found.read_bytes() == b"x"
    with pytest.raises(ModelError, match="other/net is not in the local cache.*--weights FILE"):
        fetch.hub_file("other/net", ["model.safetensors"])
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set"):
        fetch.hub_file("other/net", ["model.safetensors"])
