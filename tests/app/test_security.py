"""Attacks on the app: foreign names, foreign pages, no token, too much of everything, names that are markup."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from backlight.app.security import TOKEN_HEADER, Door
from backlight.app.serving import AppRequest, serve
from backlight.app.uploads import MOST_BYTES, file_name
from backlight.core.errors import UsageError
from tests.app.conftest import HOST, TOKEN, Asker

FOREIGN = [
    "evil.example", "evil.example:8000", "127.0.0.1", "127.0.0.1:9", "127.0.0.1.evil:8000", "127.0.0.1:8000@evil", "",
    "10.0.0.1:8000", "[::1", "localhost:8000/x",
]  # fmt: skip
PATHS = ["../../etc/passwd", "/etc/passwd", "a\\b", ".hidden", "", "x" * 300, "a\nb", "a\u202eb"]
ADDRESSES = ("/", "/api/state", "/api/sample/0", "/api/job/x")


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize("address", [*ADDRESSES, "/static/page.css"])
def test_a_foreign_host_is_refused(client: Asker, address: str, host: str) -> None:
    answer = client.get(address, headers={"host": host})
    assert answer.status_code == 403
    assert "Host" in answer.json()["error"]


@pytest.mark.parametrize("host", [HOST, "localhost:8000", "[::1]:8000"])
def test_names_of_this_machine_are_let_in(client: Asker, host: str) -> None:
    assert client.get("/api/state", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "https://127.0.0.1:8000", "http://127.0.0.1:9", ""])
@pytest.mark.parametrize("verb", ["predict", "explain", "attack"])
def test_a_foreign_origin_is_refused(client: Asker, cat: bytes, verb: str, origin: str) -> None:
    assert client.post(f"/api/{verb}", content=cat, headers={"origin": origin}).status_code == 403


def test_the_page_itself_is_let_in(client: Asker, cat: bytes) -> None:
    assert client.post("/api/predict", content=cat, headers={"origin": f"http://{HOST}"}).status_code == 202


@pytest.mark.parametrize("token", ["", "wrong", TOKEN[:-1], TOKEN + "x", "a token of the test\xe9"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_without_the_token_nothing_is_told(client: Asker, address: str, token: str) -> None:
    assert client.get(address, headers={TOKEN_HEADER: token.encode("latin-1")}).status_code == 403
    del client.headers[TOKEN_HEADER]
    assert client.get(address).status_code == 403
    assert client.get(address, params={"token": token}).status_code == 403
    assert client.get("/", params={"token": TOKEN}).status_code == 200


def test_no_answer_may_be_read_or_framed_by_another_site(client: Asker) -> None:
    for answer in (client.get("/"), client.get("/static/dom.js"), client.get("/", headers={"host": "evil"})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers["x-content-type-options"] == "nosniff"
    page = client.get("/").text
    assert "style=" not in page
    assert "<script>" not in page
    assert "http" not in page.replace("http-equiv", "")


@pytest.mark.parametrize("name", ["../routes.py", "..%2froutes.py", "%2e%2e/index.html", "nothing.js", ".", "x%00"])
def test_only_files_of_the_page_are_given(client: Asker, name: str) -> None:
    assert client.get(f"/static/{name}").status_code == 404


def test_thirty_megabytes_are_refused_by_what_is_stated_and_by_what_comes(client: Asker) -> None:
    body = bytes(30_000_000)
    assert client.post("/api/predict", content=body).status_code == 413
    parts = (body[start : start + 10**6] for start in range(0, len(body), 10**6))
    assert client.post("/api/predict", content=parts).status_code == 413
    assert client.post("/api/predict", content=b"x", headers={"content-length": "-5"}).status_code == 413
    assert client.post("/api/predict", content=b"x", headers={"content-length": "9" * 5000}).status_code == 413
    assert MOST_BYTES < 30_000_000


@pytest.mark.parametrize("number", ["9" * 5000, "4", "-1", "x", "1.0"])
def test_there_are_four_samples(client: Asker, number: str) -> None:
    assert client.get(f"/api/sample/{number}").status_code == 404


def _bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(10**6))) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (50_001, 1000), (2**31 - 1, 2**31 - 1)])
def test_a_bomb_is_refused_before_it_is_decoded(
    client: Asker, monkeypatch: pytest.MonkeyPatch, width: int, height: int
) -> None:
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda self: pytest.fail("decoded"))
    assert client.post("/api/predict", content=_bomb(width, height)).status_code in (413, 415)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"<svg onload=alert(1)>", b"\x89PNG\r\n\x1a\n" + bytes(50), b"%PDF"])
def test_what_is_no_picture_is_said_so(client: Asker, data: bytes) -> None:
    answer = client.post("/api/predict", content=data)
    assert answer.status_code == 415
    assert "picture" in answer.json()["error"]


def test_a_picture_that_breaks_off_fails_and_the_next_is_answered(client: Asker, cat: bytes) -> None:
    kind, told = client.events("predict", cat[:5000])[-1]
    assert kind == "failed"
    assert "/" not in told["error"].split("(")[0]
    assert client.answer("predict", cat)["predictions"]


@pytest.mark.parametrize(
    ("verb", "words"),
    [
        ("explain", {"methods": "evil.py:function"}),
        ("explain", {"methods": "/tmp/evil.py:function"}),
        ("explain", {"methods": "captum:Saliency"}),
        ("explain", {"methods": "rise:baseline=/etc/passwd"}),
        ("attack", {"method": "evil.py:function"}),
        ("attack", {"method": "pgd:objective=evil.py:function"}),
        ("attack", {"eps": "1e400"}),
        ("attack", {"eps": "-1"}),
        ("attack", {"steps": "1000000"}),
        ("attack", {"out": "/tmp/here"}),
        ("explain", {"layer": "x"}),
        ("predict", {"cover": "a\nb"}),
        ("denoise", {"reference": "/etc/passwd"}),
        ("denoise", {"alpha": "nan"}),
        ("report", {"out": "/tmp/here"}),
        ("visualize", {"what": "invert", "subjects": "/etc"}),
        ("train", {}),
        ("predict", {"model": "7"}),
        ("predict", {"model": "../x"}),
        ("predict", {"model": "9" * 5000}),
        ("predict", {"model": "\u00b2"}),
    ],
)
def test_words_name_no_file_and_stay_within_bounds(client: Asker, cat: bytes, verb: str, words: dict[str, str]) -> None:
    assert client.post(f"/api/{verb}", params=words, content=cat).status_code == 422


@pytest.mark.parametrize(
    "name", ["../../etc/passwd", "/etc/passwd", "a\\b", ".hidden", "", "x" * 300, "a\nb", "a\u202eb"]
)
def test_a_name_is_never_a_path(client: Asker, cat: bytes, name: str) -> None:
    assert file_name(name) == "picture.png"
    assert client.answer("predict", cat, name=name)["picture"] == "picture.png"


def test_a_name_that_is_markup_stays_text(client: Asker, cat: bytes) -> None:
    told = client.answer("predict", cat, name="<script>alert(1)<script>.png")
    assert told["picture"] == "<script>alert(1)<script>.png"
    assert "'<script>alert(1)<script>.png'" in told["repeat"]["command"]


def test_nothing_is_left_on_disk(client: Asker, cat: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    client.answer("explain", cat, methods="saliency", name="cat.png")
    client.events("predict", cat[:5000])
    assert list(tmp_path.iterdir()) == []


def test_a_picture_keeps_no_place_where_it_was_taken(client: Asker) -> None:
    picture, buffer = Image.new("RGB", (40, 40)), io.BytesIO()
    exif = picture.getexif()
    exif[0x010E] = "at home"
    picture.save(buffer, "JPEG", exif=exif)
    assert "at home" not in str(client.answer("explain", buffer.getvalue(), methods="saliency"))


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_other_machines_are_let_in_by_token_only(host: str) -> None:
    with pytest.raises(UsageError, match="--token"):
        serve(AppRequest(host=host), print)


def test_beyond_this_machine_addresses_are_names_and_others_are_not() -> None:
    door = Door("0.0.0.0", 8000, TOKEN)
    assert door.knows("192.168.1.5:8000")
    assert not door.knows("evil.example:8000")
