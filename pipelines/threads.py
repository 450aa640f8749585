"""Ends a thread by raising an exception inside it, since Python cannot kill one."""

import ctypes
import os
import sys
import threading
import time
from collections.abc import Callable

POLL = 0.02  # seconds between two checks of a thread that is importing
IMPORTS = "<frozen importlib._bootstrap>"


def end(thread: threading.Thread, error: type[BaseException]) -> None:
    """Raise `error` in a thread as soon as it has returned from C code and is not importing.

    An interrupted import leaves half-initialised modules to all other threads, and some libraries
    cannot be loaded twice. Returns at once; another thread waits until an import has ended.
    """

    def watch() -> None:
        while thread.is_alive() and not _was_raised(thread, error):
            time.sleep(POLL)

    if thread.is_alive() and not _was_raised(thread, error):
        threading.Thread(target=watch, name=f"end-{thread.name}", daemon=True).start()


def _was_raised(thread: threading.Thread, error: type[BaseException]) -> bool:
    if _is_importing(thread):
        return False
    number = ctypes.c_ulong(thread.ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(number, ctypes.py_object(error))
    if _is_importing(thread):  # an import began in between
        ctypes.pythonapi.PyThreadState_SetAsyncExc(number, None)
        return False
    return True


def _is_importing(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)  # noqa: SLF001  no public way
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
