"""What the script of the review page asks for, and what it sends; see `answers` and `desk`."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from fastapi import APIRouter, HTTPException, Path, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from pipelines.review import roles
from pipelines.review.answers import Answers, Meaning, words_of
from pipelines.review.desk import ConflictError, Desk
from pipelines.review.recording import Ask, Recorded
from pipelines.review.selection import Selection, Selector
from pipelines.review.sessions import visiting
from provenance.base.ordinals import MOST, ordinal

MOST_FOUND = 50
AHEAD = 20  # rows at most in one answer
Run = Annotated[int, Path(ge=0, le=MOST)]
Row = Annotated[int, Path(ge=0, le=MOST)]
Text = Annotated[str, Field(max_length=20_000)]
Reason = Annotated[str, Field(max_length=500, pattern=r"^[^\r\n]*$")]


class _Sent(BaseModel):
    """What a page sends: exactly these fields."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Decided(_Sent):
    """A decision on one row, on the version that the reviewer saw."""

    decision: Literal["release", "reject", "relabel", "correct", "redact", "approve"]
    version: Annotated[int, Field(ge=0)]
    column: Text | None = None
    value: Text | None = None
    reason: Reason = ""
    overrule: bool = False


class GroupDecided(_Sent):
    """A decision on the rows of a group, and the mark of those that the reviewer was told of."""

    decision: Literal["release", "reject"]
    mark: Annotated[str, Field(pattern="^[0-9a-f]{32}$")]
    reason: Reason = ""


class Undone(_Sent):
    """The entry to take back."""

    entry: Annotated[int, Field(ge=0)]
    reason: Reason = ""


class Revealed(_Sent):
    """The column of a masked cell."""

    column: Text


class Searched(_Sent):
    """A row's number, or a key as COLUMN=VALUE."""

    text: Annotated[str, Field(min_length=1, max_length=1000)]


def router(desk: Desk, means: Meaning) -> APIRouter:
    """Return the routes below /api."""
    made = APIRouter(prefix="/api/runs/{number}")
    words = words_of(means)

    def answers(number: Run) -> Answers:
        return Answers(desk, desk.queue(number), words)

    _readers(made, answers)
    _deciders(made, answers)
    _viewers(made, answers)
    return made


def _readers(made: APIRouter, answers: Callable[[int], Answers]) -> None:
    @made.get("/groups")
    def groups(number: Run) -> JSONResponse:
        return JSONResponse(answers(number).groups())

    @made.get("/groups/{group}/rows")
    def rows(
        number: Run,
        group: str,
        after: Annotated[int, Query(ge=-1)] = -1,
        before: Annotated[int, Query(ge=-1)] = -1,
        most: Annotated[int, Query(ge=1, le=AHEAD)] = 5,
    ) -> JSONResponse:
        is_back = before >= 0
        at = before if is_back else after
        return JSONResponse(answers(number).around(group, at, most, back=is_back))

    @made.get("/groups/{group}/samples")
    def samples(number: Run, group: str) -> JSONResponse:
        return JSONResponse(answers(number).samples(group))

    @made.get("/rows/{row}")
    def row_(number: Run, row: Row) -> JSONResponse:
        own = answers(number)
        return JSONResponse({**own.state(), "item": own.row(row)})

    @made.get("/rows/{row}/fates")
    def fates(number: Run, row: Row) -> JSONResponse:
        return JSONResponse({"fates": answers(number).fates(row)})

    @made.get("/rows/{row}/near")
    def near(number: Run, row: Row) -> JSONResponse:
        return JSONResponse(answers(number).near(row))

    @made.get("/classes")
    def classes(number: Run) -> JSONResponse:
        return JSONResponse({"classes": answers(number).classes()})


def _deciders(made: APIRouter, answers: Callable[[int], Answers]) -> None:
    @made.post("/rows/{row}/decision")
    def decide(number: Run, row: Row, sent: Decided) -> JSONResponse:
        power = roles.DECISIONS.get(sent.decision, "decide")
        if words := roles.refusal(visiting.get(), power):
            raise HTTPException(403, words)
        own = answers(number)
        own.require(row)
        column = sent.column if sent.decision == "correct" else None
        value = sent.value if sent.decision in ("correct", "relabel") else None
        ask = Ask(Selection(row=str(row)), sent.decision, column, value, sent.reason or None)
        try:
            done = own.desk.decide(own.queue, ask, sent.version, overrule=sent.overrule)
        except ConflictError as error:
            return JSONResponse(own.conflict(error.last, error.message, row), 409)
        return JSONResponse(_done(own, done))

    @made.post("/groups/{group}/decision")
    def decide_group(number: Run, group: str, sent: GroupDecided) -> JSONResponse:
        own = answers(number)
        ask = Ask(Selection(group=group), sent.decision, reason=sent.reason or None)
        try:
            done = own.desk.decide_group(own.queue, ask, sent.mark)
        except ConflictError as error:
            return JSONResponse(own.conflict(None, error.message, None), 409)
        return JSONResponse(_done(own, done))

    @made.post("/undo")
    def undo(number: Run, sent: Undone) -> JSONResponse:
        own = answers(number)
        try:
            done = own.desk.undo(own.queue, sent.entry, sent.reason or None)
        except ConflictError as error:
            return JSONResponse(own.conflict(None, error.message, None), 409)
        return JSONResponse(_done(own, done))


def _viewers(made: APIRouter, answers: Callable[[int], Answers]) -> None:
    @made.post("/rows/{row}/cell")
    def cell(number: Run, row: Row, sent: Revealed) -> JSONResponse:
        return JSONResponse(answers(number).cell(row, sent.column))

    @made.get("/pending/{state}")
    def pending(number: Run, state: Literal["disagreement", "approval"]) -> JSONResponse:
        rows = answers(number).pending(state)
        return JSONResponse({"rows": rows[:MOST_FOUND], "more": max(0, len(rows) - MOST_FOUND)})

    @made.post("/search")
    def search(number: Run, sent: Searched) -> JSONResponse:
        own = answers(number)
        text = sent.text.strip()
        wanted = Selection(row=text) if ordinal(text) is not None else Selection(key=text)
        rows = Selector(own.queue.run).rows(wanted)
        found = [int(row) for row in rows[:MOST_FOUND]]
        return JSONResponse({"rows": found, "more": len(rows) - len(found)})


def _done(own: Answers, done: Recorded) -> dict[str, Any]:
    return {**own.state(), "entry": done.entry.seq, "counts": done.counts, "wait": done.wait}
