"""Logging in and out on the review page, by a form that needs no script.

A name that nobody has is answered as a wrong password is, and after as much work.
"""

import asyncio
import re
import secrets
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.concurrency import run_in_threadpool

from pipelines.review import passwords
from pipelines.review.attempts import Attempts
from pipelines.review.sessions import Sessions
from pipelines.review.threshold import Threshold, plain_address
from pipelines.review.users import User, UsersFile

AT_ONCE = 2  # passwords that are looked at; each takes 64 MiB and a quarter of a second
MOST_WAITING = 20
PLACES = re.compile(r"/(runs/[0-9]{1,15}(/review)?)?")  # where a login may lead
MOST_NAME = 100
WRONG = "Name or password is wrong."
BUSY = "Many people are logging in. Try again in a minute."
Draw = Callable[..., HTMLResponse]


def router(threshold: Threshold, sessions: Sessions, first: int, draw: Draw) -> APIRouter:
    """Return the routes of logging in and out.

    Args:
        threshold: knows the cookies and the users.
        sessions: of the server.
        first: the run whose queue a login leads to.
        draw: makes a page of a template's name and values.
    """
    passwords.prepare()
    made = APIRouter()
    desk = _Desk(threshold, sessions, draw, f"/runs/{first}/review")

    @made.get("/login")
    def form(to: str = "") -> Response:
        return desk.form(to)

    @made.post("/login")
    async def login(request: Request) -> Response:
        return await desk.login(request)

    @made.post("/logout")
    def logout(request: Request) -> Response:
        sessions.end(request.state.session.cookie)
        answer = RedirectResponse("/login", 303)
        threshold.drop(answer)
        answer.headers["clear-site-data"] = '"cache"'
        return answer

    return made


class _Desk:
    """Where names and passwords are looked at."""

    def __init__(self, threshold: Threshold, sessions: Sessions, draw: Draw, first: str) -> None:
        self._at, self._sessions, self._draw, self._first = threshold, sessions, draw, first
        self._attempts = Attempts()
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def form(self, to: str, status: int = 200, **values: Any) -> Response:
        """Return the login page with a cookie and a secret of its own."""
        cookie = secrets.token_urlsafe(32)
        to = to if PLACES.fullmatch(to) else ""
        said = {"message": "", "typed": "", **values}
        answer = self._draw("login", status, csrf=self._at.form_token(cookie), to=to, **said)
        self._at.set_form(answer, cookie)
        return answer

    async def login(self, request: Request) -> Response:
        """Let a user in, or show the form again."""
        sent: dict[str, str] = request.state.form
        name, to = sent.get("name", "")[:MOST_NAME], sent.get("to", "")
        address = plain_address(request.client.host if request.client else "")
        if self._waiting >= MOST_WAITING:
            return self.form(to, 503, message=BUSY, typed=name)
        if (wait := self._attempts.begin(name.casefold(), address)) > 0:
            seconds = int(wait) + 1
            message = f"Too many attempts. Try again in {_words(seconds)}."
            answer = self.form(to, 429, message=message, typed=name)
            answer.headers["retry-after"] = str(seconds)
            return answer
        user = await self._found(name, sent.get("password", ""))
        if user is None:
            return self.form(to, 403, message=WRONG, typed=name)
        self._attempts.succeed(name.casefold(), address)
        if before := request.state.session:
            self._sessions.end(before.cookie)
        session = self._sessions.open(user, "password")
        to = to if PLACES.fullmatch(to) else self._first
        answer = RedirectResponse(to or self._first, 303)
        self._at.set_session(answer, session)
        return answer

    async def _found(self, name: str, password: str) -> User | None:
        """Return the user whose name and password these are, None if there is none."""
        users = self._at.users
        if users is None:
            return None
        self._waiting += 1
        try:
            async with self._turns:
                return await run_in_threadpool(_matching, users, name, password)
        finally:
            self._waiting -= 1


def _matching(users: UsersFile, name: str, password: str) -> User | None:
    user = users.alike(name)
    typed = password if len(password) <= passwords.MOST else ""  # which nobody has
    return user if passwords.is_right(typed, user.password if user else None) else None


def _words(seconds: int) -> str:
    minutes = round(seconds / 60)
    return f"{seconds} second{'' if seconds == 1 else 's'}" if minutes < 2 else f"{minutes} minutes"  # noqa: PLR2004
