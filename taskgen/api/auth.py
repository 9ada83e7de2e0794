"""Lets only those in who have the token. For TCP; on the Unix socket, the file's group decides."""

from __future__ import annotations

import hmac

from starlette.types import ASGIApp, Receive, Scope, Send

from taskgen.api.problems import answer, plain

_SCHEME = b"bearer "


class TokenOnly:
    """An app for those who send ``Authorization: Bearer <token>``.

    :param app: what they get.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        if not token:
            raise ValueError("an empty token would let everybody in")
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or self._known(scope):
            await self._app(scope, receive, send)
            return
        problem = plain(
            401,
            "a token is needed over TCP, as in: Authorization: Bearer TOKEN",
            hint="it is in secrets/api-token in the daemon's state directory",
            instance=scope["path"],
        )
        headers = {"WWW-Authenticate": 'Bearer realm="taskgen"'}
        await answer(problem, headers)(scope, receive, send)

    def _known(self, scope: Scope) -> bool:
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(sent) != 1 or sent[0][: len(_SCHEME)].lower() != _SCHEME:
            return False
        return hmac.compare_digest(sent[0][len(_SCHEME) :].strip(), self._token)
