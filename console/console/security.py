"""Only the person who started the console may use it, from the page that it has sent.

The console has the AWS credentials of its owner. Any page in the same browser can send requests to 127.0.0.1, and a
name of its own that resolves to 127.0.0.1 makes it read the answers (DNS rebinding). Therefore every request must have
the console's own host, the secret of its URL as a cookie, and, if it changes something, the console's own origin.
"""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ADDRESS = "127.0.0.1"
HEADERS = {
    # Nothing inline, nothing from elsewhere: markup that got into a page could neither run nor load anything.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    # Not no-referrer: with it browsers send the origin null with forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_READING = ("GET", "HEAD")


class Guard:
    """ASGI middleware that refuses requests which are not the owner's.

    Parameters
    ----------
    app : ASGI application
    port : int
        Of the console.
    token : str
        In the URL that the console prints.
    """

    def __init__(self, app: ASGIApp, port: int, token: str) -> None:
        self._app, self._token = app, token
        self._hosts = {f"{name}:{port}" for name in (ADDRESS, "localhost")}
        # Cookies are shared by all ports of a host, so each console has a name of its own for its cookie.
        self._cookie, self._session = f"visitcast_console_{port}", secrets.token_urlsafe(32)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, exchange the token for the cookie, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._answer(Request(scope))
        await (answer or self._app)(scope, receive, send_guarded)

    def _answer(self, request: Request) -> Response | None:
        host = request.headers.get("host", "")
        if host not in self._hosts:
            return PlainTextResponse("This host name is not the console's.", 421)
        if not _same_origin(request.headers, host, request.method):
            return PlainTextResponse("This request comes from another page.", 403)
        given = request.query_params.get("token")
        if given is not None and request.method == "GET":
            return self._enter(request, given)
        if not hmac.compare_digest(request.cookies.get(self._cookie, "").encode(), self._session.encode()):
            return PlainTextResponse("Open the console by the URL that it has printed: it has a token.", 401)
        return None

    def _enter(self, request: Request, given: str) -> Response:
        if not hmac.compare_digest(given.encode(), self._token.encode()):
            return PlainTextResponse("The token is wrong. Open the URL that the console has printed.", 401)
        rest = urlencode([pair for pair in parse_qsl(request.url.query) if pair[0] != "token"])
        # A path of two slashes would be another host's address.
        path = "/" + request.url.path.lstrip("/")
        answer = RedirectResponse(path + (f"?{rest}" if rest else ""), 303)
        answer.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return answer


def _same_origin(headers: Headers, host: str, method: str) -> bool:
    """Return whether a request comes from a page of the console; one that reads may also come from no page."""
    origin = headers.get("origin")
    if origin is None:
        return method in _READING
    return origin == f"http://{host}"
