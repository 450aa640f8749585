"""The server of the review page, until it is interrupted."""

import contextlib
import errno
import functools
import json
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.exceptions import HTTPException

from pipelines.review import certificates, login, pages, routes
from pipelines.review.answers import Meaning
from pipelines.review.desk import Desk
from pipelines.review.doors import Door
from pipelines.review.guard import CLOSED, START, Guard
from pipelines.review.sessions import Sessions
from pipelines.review.threshold import Threshold
from pipelines.review.users import UsersFile
from provenance.base.atomic import with_code
from provenance.base.errors import AssayError

DRAIN = 3  # seconds that open requests get when the server ends
MOST_CONNECTIONS = 200
STATUS = {"ASSAY-C012": 400, "ASSAY-C013": 404, "ASSAY-C014": 422}
Say = Callable[[str], None]


class Server:
    """A bound server; `run` answers until it is interrupted or `stop` is called."""

    def __init__(
        self, desk: Desk, means: Meaning, first: int, *, port: int, say: Say,
        door: Door | None = None,
    ) -> None:  # fmt: skip
        """Bind the port.

        Args:
            desk: what is served.
            means: returns what a rule means.
            first: the run whose queue a browser is led to.
            port: 0 for a free one.
            say: is told each start link, or the address where users log in.
            door: the way in, by default a start link on this machine.

        Raises:
            AssayError: ASSAY-C012 if another program has the port, or it may not be bound; E112 or
                C015 if the users file, E113 if the certificate or key cannot be used.
        """
        door = door or Door()
        users = UsersFile(door.users) if door.users else None
        tls, names = certificates.loaded(door.certificate, door.key)
        self._socket = _bound(door.host, port)
        self.port: int = self._socket.getsockname()[1]
        self.threshold = Threshold(door, self.port, users, names)
        self.sessions = Sessions()
        self._desk, self._say = desk, say
        self.app = self._app(means, first)
        config = uvicorn.Config(
            Guard(self.app, self.sessions, self.threshold, pages.error), log_config=None,
            access_log=False, lifespan="off", ws="none", server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=DRAIN, limit_concurrency=MOST_CONNECTIONS,
        )  # fmt: skip
        config.load()
        config.ssl = tls
        self._server = uvicorn.Server(config)

    def link(self) -> str:
        """Return an address that opens the page: once, or to users who log in there."""
        origin = self.threshold.origin
        if self.threshold.users:
            return f"{origin}/"
        return f"{origin}{START}?token={self.sessions.link()}"

    def run(self) -> None:
        """Answer until interrupted."""
        self._say(self.link())
        with contextlib.suppress(KeyboardInterrupt), contextlib.closing(self._socket):
            self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """End `run`, from another thread."""
        self._server.should_exit = True

    def _app(self, means: Meaning, first: int) -> FastAPI:
        app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
        app.include_router(routes.router(self._desk, means))
        app.include_router(pages.router(self._desk, means))
        if self.threshold.has_login:
            app.include_router(login.router(self.threshold, self.sessions, first, pages.page))
        if not self.threshold.users:
            app.add_api_route(START, functools.partial(self._start, first), methods=["GET"])
        app.add_exception_handler(AssayError, _told)
        app.add_exception_handler(HTTPException, _told)
        app.add_exception_handler(RequestValidationError, _told)
        app.add_exception_handler(Exception, _told)  # raised again, for the guard
        return app

    def _start(self, first: int, token: str = "") -> Response:
        """Swap a token for a cookie; the address that remains holds neither."""
        session = self.sessions.start(token, self._desk.reviewer)
        if session is None:
            return Response(f"{CLOSED}\n", 401, media_type="text/plain")
        answer = RedirectResponse(f"/runs/{first}/review", 303)
        self.threshold.set_session(answer, session)
        self._say(self.link())
        return answer


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(128)
    except (OSError, OverflowError) as error:
        made.close()
        fix = "leave --port out for a free one, or give a number from 1024 to 65535"
        what = f"port {port} of {host} cannot be used"
        number = error.errno if isinstance(error, OSError) else None
        if number == errno.EADDRNOTAVAIL:
            what = f"this machine has no address {host}"
            fix = "give --host an address of this machine, or leave it out for this machine only"
        elif number == errno.EADDRINUSE:
            what = f"another program uses port {port} of {host}"
        elif number is not None:
            what += f" ({os.strerror(number)})"
        raise AssayError("C012", what, fix=fix) from error
    return made


def _told(request: Request, error: Exception) -> Response:
    """Return an error as JSON for the script, as a page for a person."""
    status, facts = _facts(error)
    if request.url.path.startswith("/api/"):
        return JSONResponse(facts, status)
    return HTMLResponse(pages.error(facts), status)


def _facts(error: Exception) -> tuple[int, dict[str, Any]]:
    if isinstance(error, AssayError):
        return STATUS.get(error.code, 503), error.as_dict()
    if isinstance(error, HTTPException):
        return error.status_code, {"code": "", "message": str(error.detail), "fix": ""}
    if isinstance(error, RequestValidationError):
        # the request may hold cells, so nothing of it is repeated
        return 422, {"code": "", "message": "The request is not what the page sends.", "fix": ""}
    return 500, with_code(error).as_dict()


def say(link: str) -> None:
    """Print a start link."""
    sys.stdout.write(f"review page: {link}\n")
    sys.stdout.flush()


def say_json(link: str) -> None:
    """Print a start link as an object."""
    sys.stdout.write(json.dumps({"schema": "assay.review/1", "url": link}) + "\n")
    sys.stdout.flush()
