"""Who may ask the app, and for how much: every request passes here first.

A page of another site cannot read answers (Origin), nor reach the app by a name that it makes point here (Host), nor
guess the token. What the page itself may load is limited by a content policy.
"""

from __future__ import annotations

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

TOKEN_HEADER = "x-backlight-token"
OPEN_BELOW = "/static/"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Door:
    """What is asked of a request: the address that the app listens on, and the token.

    >>> door = Door("127.0.0.1", 8000, "secret")
    >>> door.knows("localhost:8000"), door.knows("evil.example:8000"), door.knows("127.0.0.1:9000")
    (True, False, False)
    """

    host: str
    port: int
    token: str

    def knows(self, name: str) -> bool:
        """Whether a Host header names this app: by this machine's addresses alone, which no foreign name points to."""
        try:
            parts = urlsplit(f"//{name}")
            host, port = parts.hostname or "", parts.port or 80
        except ValueError:
            return False
        if port != self.port or parts.username is not None or parts.path:
            return False
        if host in _LOOPBACK or host == self.host:
            return True
        return not is_loopback(self.host) and _is_address(host)

    def refusal(self, scope: Scope) -> str:
        """Say why a request is refused; nothing where it is let in."""
        headers = Headers(scope=scope)
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        if len(hosts) != 1 or not self.knows(hosts[0]):
            return "the Host header does not name this app"
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            return "the request comes from another site"
        if not scope["path"].startswith(OPEN_BELOW) and not self._has_token(headers, scope):
            return "the token is missing or wrong: open the address that `backlight app` printed"
        return ""

    def _has_token(self, headers: Headers, scope: Scope) -> bool:
        given = [*headers.getlist(TOKEN_HEADER), *parse_qs(scope["query_string"].decode("latin-1")).get("token", [])]
        # The last bits of a comparison must not tell by their time how much of a guess was right.
        return bool(given) and all(hmac.compare_digest(one.encode(), self.token.encode()) for one in given)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


class Guarded:
    """An application behind a door; every answer carries the content policy.

    >>> from starlette.applications import Starlette
    >>> Guarded(Starlette(), Door("127.0.0.1", 8000, "secret")).door.port
    8000
    """

    def __init__(self, inner: ASGIApp, door: Door) -> None:
        self.inner, self.door = inner, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.inner(scope, receive, send)
            return
        reason = self.door.refusal(scope)
        answer: ASGIApp = JSONResponse({"error": reason}, 403) if reason else self.inner
        await answer(scope, receive, send_with_policy)
