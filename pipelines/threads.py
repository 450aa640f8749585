"""Ends a thread by an exception that is raised inside it, for Python cannot kill one."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable

POLL = 0.02  # seconds between looks at a thread that imports
IMPORTS = "<frozen importlib._bootstrap>"


def end(thread: threading.Thread, error: type[BaseException]) -> None:
    """Raise `error` in a thread as soon as it is back from C code and imports nothing.

    An import that is cut off leaves modules half made to all other threads, and some libraries
    cannot be loaded twice. Returns at once; a thread that imports is waited for by another.
    """

    def watch() -> None:
        while thread.is_alive() and not _raised(thread, error):
            time.sleep(POLL)

    if thread.is_alive() and not _raised(thread, error):
        threading.Thread(target=watch, name=f"end-{thread.name}", daemon=True).start()


def _raised(thread: threading.Thread, error: type[BaseException]) -> bool:
    if _imports(thread):
        return False
    number = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(error))
    if _imports(thread):  # it began to between the two
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, None)
        return False
    return True


def _imports(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  there is no public way
    while frame is not None:
        if frame.f_code.co_filename == IMPORTS:
            return True
        frame = frame.f_back
    return False


def exit_after(wait: Callable[[], object]) -> None:
    """End this process once `wait` returns, as it does when the parent process has died."""

    def watch() -> None:
        wait()
        os._exit(1)

    threading.Thread(target=watch, name="exit-with-parent", daemon=True).start()
