"""The child process that is a Prefect server, for as long as its parent wants it.

Started by file name, so that no module of Assay is imported and none can be shadowed. It ends when
its stdin does, or when its parent is no longer its parent: a parent killed with -9 takes it along
and its folder with it. (Linux could signal the child at its parent's death, but does so already
when the *thread* that started it ends, and without a chance to remove the folder.)
"""

import asyncio
import json
import os
import select
import shutil
import signal
import socket
import sqlite3
import sys
import threading
from pathlib import Path
from typing import Any

GLANCE = 0.5  # seconds between looks at who the parent is
PATIENCE = 10.0  # seconds for an orderly end of a server whose database is kept


def main(asked: dict[str, Any]) -> None:
    """Serve Prefect's API on the socket that was handed over.

    Args:
        asked: fd (a listening socket), parent (process id), folder (removed at the end), database
            (path), template (path or null), keep (bool: an orderly end for the database's sake).
    """
    listening = socket.socket(fileno=asked["fd"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    server: list[Any] = []
    leave = threading.Thread(target=_leave_with_parent, args=(asked, server), daemon=True)
    leave.start()
    if not Path(asked["database"]).exists():
        prepare(Path(asked["database"]), Path(asked["template"]) if asked["template"] else None)
    import uvicorn
    from prefect.server.api.server import create_app

    app = create_app(webserver_only=not asked["keep"], final=True)
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, timeout_graceful_shutdown=2, lifespan="on"
    )
    server.append(uvicorn.Server(config))
    server[0].run(sockets=[listening])
    shutil.rmtree(asked["folder"], ignore_errors=True)  # a kept database lies elsewhere


def prepare(database: Path, template: Path | None) -> None:
    """Lay out an empty database, from the template of this Prefect version when there is one.

    The migrations take most of a server's start, and always give the same tables.
    """
    if template is not None and _copied(template, database):
        return
    from prefect.server.database import provide_database_interface

    asyncio.run(provide_database_interface().create_db())
    if template is not None:
        _save(database, template)


def _copied(template: Path, database: Path) -> bool:
    try:
        shutil.copyfile(template, database)
        with sqlite3.connect(database) as copy:
            sound = copy.execute("PRAGMA quick_check").fetchall() == [("ok",)]
            migrated = copy.execute("SELECT count(*) FROM alembic_version").fetchone() == (1,)
        copy.close()
    except (OSError, sqlite3.Error):
        sound = migrated = False
    if not (sound and migrated):
        database.unlink(missing_ok=True)
    return sound and migrated


def _save(database: Path, template: Path) -> None:
    draft = template.with_name(f".{template.name}.{os.getpid()}")
    try:
        template.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        source = sqlite3.connect(database)
        source.execute("VACUUM INTO ?", (str(draft),))
        source.close()
        draft.replace(template)
    except (OSError, sqlite3.Error) as error:
        # the next run migrates again, which costs seconds and nothing else
        print(f"no template kept: {error}", flush=True)  # noqa: T201  this is the log
        draft.unlink(missing_ok=True)


def _leave_with_parent(asked: dict[str, Any], server: list[Any]) -> None:
    while os.getppid() == asked["parent"]:
        if select.select([0], [], [], GLANCE)[0] and not os.read(0, 1):
            break
    if asked["keep"] and server:
        server[0].should_exit = True
        threading.Event().wait(PATIENCE)  # the process ends meanwhile, as a rule
    shutil.rmtree(asked["folder"], ignore_errors=True)
    os._exit(0)


if __name__ == "__main__":
    main(json.loads(sys.argv[2]))
