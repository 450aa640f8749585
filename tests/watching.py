"""Watching a command: what its Python processes open, connect to and start, and its system calls.

An audit hook in every Python process below the command writes a line an event; where strace is
there, it writes what the engines open in C. Neither is told what to look for.
"""

import ast
import dataclasses
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HOOK = """
import os, sys
_LOG = os.open(os.environ["WATCH_EVENTS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
_SEEN = ("open", "socket.", "subprocess.", "os.exec", "os.posix_spawn", "os.system", "os.fork",
         "os.rename", "os.remove", "os.mkdir", "os.link", "os.symlink", "shutil.", "urllib.",
         "http.", "ftplib.", "smtplib.", "pty.", "winreg.")
def _watch(event, arguments):
    if event.startswith(_SEEN):
        line = repr((event, [repr(a) if not isinstance(a, (int, str)) else a for a in arguments]))
        os.write(_LOG, line.encode("utf-8", "backslashreplace") + b"\\n")
sys.addaudithook(_watch)
"""
CALLS = "trace=open,openat,creat,connect,bind,execve,mkdir,mkdirat,rename,renameat2,unlink,truncate"
NAMED = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclasses.dataclass
class Watched:
    """What a command did: its end, its words, and the events of its Python processes."""

    code: int
    out: str
    err: str
    events: list[tuple[str, list]]
    calls: list[str]
    events_path: str  # where this watch itself writes

    def opened(self):
        """Yield (path, whether to write) of every file that was opened, in Python or C."""
        for event, arguments in self.events:
            if event == "open" and isinstance(arguments[0], str):
                flags = arguments[2] if isinstance(arguments[2], int) else 0
                yield arguments[0], bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))
        for call in self.calls:
            if re.search(r"\b(open|openat|creat)\(", call) and (named := NAMED.search(call)):
                writes = any(word in call for word in ("O_WRONLY", "O_RDWR", "O_CREAT", "creat("))
                yield named[1], writes

    def connected(self):
        """Return what was connected to or listened on, but for two that mean nothing.

        The name service has a socket of its own, and urllib3 finds out when it is imported whether
        there is IPv6: it binds to no port of ::1.
        """
        kinds = ("socket.connect", "socket.bind", "socket.getaddrinfo", "socket.sendto", "urllib.")
        found = [str(event) for event in self.events if event[0].startswith(kinds)]
        found += [call for call in self.calls if re.search(r"\b(connect|bind)\(", call)]
        harmless = (
            "nscd",
            "('::1', 0)",
            'htons(0), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "::1"',
        )
        return [item for item in found if not any(word in item for word in harmless)]

    def started(self):
        """Return the command lines of the processes that were started."""
        return [str(arguments) for event, arguments in self.events if event == "subprocess.Popen"]


def has_strace():
    """Return whether strace is there and may trace."""
    program = shutil.which("strace")
    if not program:
        return False
    tried = subprocess.run([program, "-o", "/dev/null", "true"], check=False, capture_output=True)
    return tried.returncode == 0


def watched(words, folder, **settings):
    """Run a command of this Python under the hook, and under strace where it is there.

    Args:
        words: arguments of the interpreter.
        folder: an empty folder for what is noted.
        settings: `cwd` and `env` of the process, and `timeout` in seconds.
    """
    (folder / "sitecustomize.py").write_text(HOOK)
    events, calls = folder / "events", folder / "calls"
    environ = {**settings["env"], "PYTHONPATH": str(folder), "WATCH_EVENTS": str(events),
               "PYTHONDONTWRITEBYTECODE": "1"}  # fmt: skip
    trace = ["strace", "-f", "-qq", "-s", "512", "--seccomp-bpf", "-o", str(calls), "-e", CALLS]
    done = subprocess.run(
        [*(trace if has_strace() else []), sys.executable, *map(str, words)],
        cwd=settings["cwd"], env=environ, timeout=settings["timeout"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    lines = events.read_text().splitlines() if events.exists() else []
    made = calls.read_text(errors="replace").splitlines() if calls.exists() else []
    seen = [ast.literal_eval(line) for line in lines]
    return Watched(done.returncode, done.stdout, done.stderr, seen, made, str(events))


def tree(folder: Path):
    """Return every path below a folder with its content's size and time."""
    return {str(p): (p.lstat().st_size, p.lstat().st_mtime_ns) for p in folder.rglob("*")}
