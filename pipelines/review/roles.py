"""Who may what on the review page: four roles, each of which may all that the one before it may.

ROUTES is the only list of what is served: the guard refuses whatever it does not name.
"""

from typing import Protocol

ROLES = ("viewer", "reviewer", "approver", "admin")
OWNER = ROLES[-1]  # of the account that serves the page to itself
# what somebody may do -> the lowest role that may
POWERS = {
    "look": "viewer",  # the queue and the runs, with personal cells masked
    "decide": "reviewer",
    "reveal": "reviewer",  # a masked cell, which the ledger records
    "approve": "approver",  # as the second person of a decision
    "anchor": "admin",  # make a run the reference for drift
}
LINK = "link"  # open where the account that serves comes in by a link
FRONT = "front"  # open where people log in; elsewhere for those who are in
_RUN = "/api/runs/{number}"
ROUTES = {
    ("GET", "/start"): LINK,
    ("GET", "/login"): FRONT,
    ("POST", "/login"): FRONT,
    ("POST", "/logout"): "look",
    ("GET", "/static/{name}"): FRONT,
    ("GET", "/"): "look",
    ("GET", "/runs/{number}"): "look",
    ("GET", "/runs/{number}/report.html"): "look",
    ("GET", "/runs/{number}/review"): "look",
    ("POST", "/runs/{number}/anchor"): "anchor",
    ("GET", "/rules/{rule:path}"): "look",
    ("GET", f"{_RUN}/groups"): "look",
    ("GET", f"{_RUN}/groups/{{group}}/rows"): "look",
    ("GET", f"{_RUN}/groups/{{group}}/samples"): "look",
    ("GET", f"{_RUN}/rows/{{row}}"): "look",
    ("GET", f"{_RUN}/rows/{{row}}/fates"): "look",
    ("GET", f"{_RUN}/rows/{{row}}/near"): "look",
    ("GET", f"{_RUN}/pending/{{state}}"): "look",
    ("GET", f"{_RUN}/classes"): "look",
    ("POST", f"{_RUN}/rows/{{row}}/decision"): "decide",
    ("POST", f"{_RUN}/groups/{{group}}/decision"): "decide",
    ("POST", f"{_RUN}/undo"): "decide",
    ("POST", f"{_RUN}/rows/{{row}}/cell"): "reveal",
    # a search by value tells whether a masked cell holds it
    ("POST", f"{_RUN}/search"): "reveal",
}
# the decisions that need more than the route they are sent to
DECISIONS = {"approve": "approve"}
# sent by a form, which needs no script; everything else that is posted is JSON of the script
FORMS = frozenset({"/login", "/logout", "/runs/{number}/anchor"})


class HasRole(Protocol):
    """Somebody who is in, such as a session."""

    @property
    def role(self) -> str:
        """Return one of ROLES."""


def may(who: HasRole, power: str) -> bool:
    """Return whether somebody's role has one of POWERS."""
    return ROLES.index(who.role) >= ROLES.index(POWERS[power])


def refusal(who: HasRole, power: str) -> str:
    """Return why somebody may not do something, "" if they may."""
    if may(who, power):
        return ""
    return f"Your role, {who.role}, does not allow this: it needs {POWERS[power]} or above."
