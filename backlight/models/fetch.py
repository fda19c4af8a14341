"""Weights from the network: the local caches first, then one quick look whether there is a network at all.

Left alone, the libraries underneath ask an unreachable hub again and again for most of a minute.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from backlight.core.atomic import atomic
from backlight.core.errors import ModelError, UsageError
from backlight.core.grammar import shortened

REACH_SECONDS = 2.0
_READ_SECONDS = 10.0
OFFLINE_HINT = (
    "random weights (--random, random=True), a file of your own (--weights FILE), "
    "or the default model efficientnet_lite0, which needs no network"
)


def cached_hub_file(repository: str, names: Sequence[str]) -> Path | None:
    """Find the first of `names` of a Hugging Face repository (`ORG/NAME`, `ORG/NAME@revision`) in the local cache.

    Raises UsageError for what can be no repository's name.

    >>> cached_hub_file("nobody/nothing", ["model.safetensors"]) is None
    True
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    name, _, revision = repository.partition("@")
    for filename in names:
        try:
            return Path(hf_hub_download(name, filename, revision=revision or None, local_files_only=True))
        except LocalEntryNotFoundError:
            continue
        except (HFValidationError, OSError):  # too long for a name, of the hub or of a file
            raise UsageError(f"{shortened(repository)} is no repository", expected="ORG/NAME") from None
    return None


def hub_file(repository: str, names: Sequence[str]) -> Path:
    """Get the first of `names` that a Hugging Face repository has, from the local cache or the network.

    Raises ModelError that says what to do where neither has it.
    """
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError

    if cached := cached_hub_file(repository, names):
        return cached
    if constants.HF_HUB_OFFLINE:
        raise _unreachable(repository, "HF_HUB_OFFLINE is set")
    _require_network(constants.ENDPOINT, repository)
    name, _, revision = repository.partition("@")
    for filename in names:
        try:
            return Path(hf_hub_download(name, filename, revision=revision or None))
        except LocalEntryNotFoundError as error:  # the network went away in between
            raise _unreachable(repository, str(error)) from error
        except EntryNotFoundError:
            continue
        except HfHubHTTPError as error:
            reason = str(error).strip().splitlines()[-1]
            raise ModelError(f"{repository} cannot be downloaded: {reason}", hint=OFFLINE_HINT) from error
        except OSError as error:
            raise _unreachable(repository, str(error)) from error
    raise ModelError(f"{repository} has none of {', '.join(names)}", expected="a model that timm can load")


def cached_url_file(url: str) -> Path | None:
    """Find what was downloaded from `url` before in torch's cache.

    >>> cached_url_file("https://example.org/nothing-12345678.pth") is None
    True
    """
    path = _place_of(url)
    return path if path.is_file() else None


def url_file(url: str) -> Path:
    """Get a file from torch's cache, or download it there and check the hash that its name carries.

    Raises ModelError that says what to do where neither is possible.

    >>> url_file("http://127.0.0.1:1/net.pth")
    Traceback (most recent call last):
    backlight.core.errors.ModelError: net.pth is not in the local cache and cannot be downloaded ...
    """
    target = _place_of(url)
    if target.is_file():
        return target
    _require_network(url, target.name)
    try:
        with urllib.request.urlopen(url, timeout=_READ_SECONDS) as answer, atomic(target) as temporary:
            with temporary.open("wb") as file:
                shutil.copyfileobj(answer, file)
            _check_hash(temporary, target.name)
    except (urllib.error.URLError, TimeoutError, ConnectionError) as error:
        raise _unreachable(target.name, str(error)) from error
    return target


def _place_of(url: str) -> Path:
    import torch

    return Path(torch.hub.get_dir(), "checkpoints", Path(urlsplit(url).path).name)


def _check_hash(path: Path, name: str) -> None:
    promised = re.search(r"-([0-9a-f]{8,})\.", name)
    if promised is None:
        return
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if not found.startswith(promised[1]):
        raise ModelError(f"the download of {name} is damaged (its SHA-256 starts {found[:8]})", hint="load it again")


def _require_network(url: str, wanted: str) -> None:
    place = urlsplit(url)
    scheme = place.scheme or "https"
    # Behind a proxy the name of the host need not resolve here; the proxy's must.
    proxy = urllib.request.getproxies().get(scheme)
    if proxy and not urllib.request.proxy_bypass(place.hostname or ""):
        place = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    port = place.port or (80 if place.scheme == "http" else 443)
    if not reachable(place.hostname or "", port):
        raise _unreachable(wanted, f"no answer from {place.hostname} within {REACH_SECONDS:g} s")


def reachable(host: str, port: int, seconds: float = REACH_SECONDS) -> bool:
    """Whether a host accepts a connection within some seconds.

    >>> reachable("127.0.0.1", 1, seconds=0.5)
    False
    """
    answered: list[bool] = []

    def connect() -> None:
        try:
            socket.create_connection((host, port), timeout=seconds).close()
        except OSError:
            return
        answered.append(True)

    # Looking a name up takes no time limit of its own, so a thread that may be left behind does it.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    return bool(answered)


def _unreachable(wanted: str, reason: str) -> ModelError:
    found = f"{wanted} is not in the local cache and cannot be downloaded ({reason})"
    return ModelError(found, hint=OFFLINE_HINT)
