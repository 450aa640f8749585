"""The front of `assay review`: who may, before anything heavy is imported; and the users file."""

import argparse
import json
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path

from pipelines import config
from pipelines.review import certificates, doors, passwords, users
from pipelines.review.roles import ROLES
from pipelines.review.users import User
from provenance.base import no_follow
from provenance.base.errors import AssayError, printable

CHANGES = ("add_user", "change_user", "remove_user")
DONE = {"add_user": "added", "change_user": "changed", "remove_user": "removed"}
OF_CHANGES = ("role", "no_password")
MOST_LINE = 4096  # characters of a password on standard input


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of the page, and of its users."""
    parser.set_defaults(module="review_access")  # says who may, before anything heavy is imported
    add = parser.add_argument_group("the page, and who may use it").add_argument
    add("--port", type=int, metavar="N", help="port of the page (default: a free one)")
    add("--host", metavar="ADDRESS", help="IP address of the page (default: 127.0.0.1, this "
        "machine only); any other needs --users, --tls-cert and --tls-key")  # fmt: skip
    add("--users", metavar="FILE", help="let the users of this file log in, instead of you by a "
        "one-time link")  # fmt: skip
    add("--tls-cert", metavar="FILE", help="certificate of the page, with its chain, as PEM")
    add("--tls-key", metavar="FILE", help="private key of the certificate, as PEM")
    add("--trusted-header", metavar="NAME", help="take who somebody is from this header of a "
        "proxy; needs --users (for the roles), --proxy, --proxy-secret and --origin")  # fmt: skip
    add("--proxy", metavar="ADDRESS", action="append", help="IP address that the proxy connects "
        "from; repeat it for several")  # fmt: skip
    add("--proxy-secret", metavar="FILE", help="file of the secret that the proxy sends with each "
        "request, as the header Assay-Proxy-Secret")  # fmt: skip
    add("--origin", metavar="URL", help="address at which people open the proxy, such as "
        "https://review.example.org")  # fmt: skip
    add("--add-user", metavar="NAME", help="add a user to --users; the password is asked for, or "
        "read from standard input")  # fmt: skip
    add("--change-user", metavar="NAME", help="give a user another --role, else another password")
    add("--remove-user", metavar="NAME", help="remove a user; their sessions end at once")
    add("--role", metavar="ROLE", help="with --add-user or --change-user: viewer, reviewer, "
        "approver or admin, each of which may do all that the one before it may")  # fmt: skip
    add("--no-password", action="store_true", help="with --add-user or --change-user: a user who "
        "comes in by --trusted-header only")  # fmt: skip


def main(arguments: argparse.Namespace) -> int:
    """Change the users file, or check the way in and go on to the command."""
    asked = [name for name in CHANGES if getattr(arguments, name) is not None]
    if len(asked) > 1:
        what = f"{_word(asked[1])} cannot be combined with {_word(asked[0])}"
        raise AssayError("C012", what, fix="call `assay review` once for each")
    if asked:
        return _change(arguments, asked[0])
    for name in OF_CHANGES:
        if getattr(arguments, name):
            what = f"{_word(name)} has no meaning without --add-user or --change-user"
            raise AssayError("C012", what, fix="leave it out; see `assay review --help`")
    arguments.door = doors.asked(arguments)
    if path := arguments.door.users:
        _require_outside(path, arguments)
        # what cannot be used is told at once, before the store is read
        users.UsersFile(path)
        certificates.loaded(arguments.door.certificate, arguments.door.key)
    from pipelines.commands import review

    return review.main(arguments)


def _change(arguments: argparse.Namespace, action: str) -> int:
    """Add, change or remove a user; the password is asked for before the file is locked."""
    name: str = getattr(arguments, action)
    path = _checked(arguments, action, name)
    if no_follow.is_there(path):
        _require_possible(users.parsed(users.private(path, "the users file"), path), action, name)
    elif action != "add_user":
        _require_possible({}, action, name)
    password = _password(arguments, action, name)

    def edit(found: dict[str, User]) -> None:
        _require_possible(found, action, name)
        before = found.pop(name, None)
        if action == "remove_user":
            return
        role = arguments.role or (before.role if before else "")
        found[name] = User(name, role, password or (before.password if before else ""))

    users.change(path, edit)
    report = {"schema": "assay.review/1", "user": name, "done": DONE[action], "file": str(path)}
    text = f"{DONE[action]} {name} in {printable(str(path))}\n"
    sys.stdout.write(json.dumps(report) + "\n" if arguments.json else text)
    return 0


def _checked(arguments: argparse.Namespace, action: str, name: str) -> Path:
    """Return the path of the users file if the options make sense together."""
    if arguments.users is None:
        what = f"{_word(action)} needs --users FILE"
        raise AssayError("C012", what, fix="give the file that holds the users, outside the store")
    path = Path(arguments.users)
    _require_outside(path, arguments)
    if not path.parent.is_dir():
        what, fix = "the folder of the users file does not exist", "create it, or correct --users"
        raise AssayError("C012", what, where=str(path), fix=fix)
    if not users.NAME.fullmatch(name):
        raise AssayError("C015", "the name is invalid", where=_word(action), fix=users.OF_NAMES)
    roles = f"{', '.join(ROLES[:-1])} or {ROLES[-1]}"
    if action == "add_user" and arguments.role is None:
        raise AssayError("C012", "--add-user needs --role", fix=f"give {roles}")
    if action == "remove_user" and (arguments.role or arguments.no_password):
        what = "--remove-user takes neither --role nor --no-password"
        raise AssayError("C012", what, fix="leave them out")
    if arguments.role is not None and arguments.role not in ROLES:
        raise AssayError("C012", "the role is unknown", where="--role", fix=f"give {roles}")
    return path


def _require_possible(found: Mapping[str, User], action: str, name: str) -> None:
    """Refuse to add a user who is there, and to change or remove one who is not."""
    is_there = name.casefold() in {each.casefold() for each in found}
    if action == "add_user" and is_there:
        fix = "use --change-user, or another name; upper and lower case make no difference"
        raise AssayError("C015", "there is a user of that name already", where=name, fix=fix)
    if action != "add_user" and name not in found:
        fix = "check the name, or use --add-user"
        raise AssayError("C015", "there is no user of that name", where=name, fix=fix)


def _password(arguments: argparse.Namespace, action: str, name: str) -> str:
    """Return what is stored of a new password, "" if it stays as it is."""
    if arguments.no_password:
        return passwords.NONE
    if action == "remove_user" or (action == "change_user" and arguments.role is not None):
        return ""
    typed = _typed(name) if sys.stdin.isatty() else sys.stdin.readline(MOST_LINE).rstrip("\r\n")
    if weakness := passwords.weakness_of(typed, name):
        fix = "use several words, or let a password manager make one"
        raise AssayError("C015", weakness, fix=fix)
    return passwords.encoded(typed)


def _typed(name: str) -> str:
    """Ask for a password twice, on the terminal and without echo."""
    import getpass

    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            typed = getpass.getpass(f"Password for {name}: ")
            again = getpass.getpass("The same again: ")
        except (getpass.GetPassWarning, EOFError) as error:
            fix = "send it to the command's standard input"
            what = "the password cannot be asked for without showing it"
            raise AssayError("C015", what, fix=fix) from error
    if typed != again:
        raise AssayError("C015", "the two passwords differ", fix="try again")
    return typed


def _require_outside(path: Path, arguments: argparse.Namespace) -> None:
    """Refuse a users file in the store: nothing in a store is anybody's to write by hand."""
    store = config.store_folder(arguments.store)
    if path.resolve().is_relative_to(store.resolve()):
        what, fix = "the users file lies in the store", "keep it elsewhere"
        raise AssayError("E112", what, where=str(path), fix=fix)


def _word(name: str) -> str:
    return f"--{name.replace('_', '-')}"
