"""How often somebody may try a password: after a few failures each try has to wait longer.

Failures count for a name from one address, for an address, and for a name from anywhere. The last
waits least, so that nobody can lock others out for long by failing in their name.
"""

import dataclasses
import hashlib
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator

FORGET = 3600.0  # seconds after which failures no longer count
MOST = 30_000  # counters at one time
# what is counted -> failures without a wait, and the longest wait in seconds
LIMITS = {"both": (5, 900.0), "address": (20, 900.0), "name": (50, 60.0)}
NETWORK = 64  # bits of an IPv6 address that belong to one customer


@dataclasses.dataclass(slots=True)
class _Count:
    failures: int = 0
    last: float = 0.0


class Attempts:
    """Failed attempts of the last hour; names and addresses are kept as digests only."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Count from nothing; `clock` tells seconds."""
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[bytes, _Count] = {}

    def begin(self, name: str, address: str) -> float:
        """Count an attempt as failed until `succeed`, unless it must wait.

        Returns:
            The seconds to wait; 0 if the password may be looked at now.
        """
        with self._lock:
            now = self._clock()
            keys = dict(_keys(name, address))
            waits = (self._wait(kind, keys[kind], now) for kind in keys)
            if (wait := max(waits)) > 0:
                return wait
            for key in keys.values():
                count = self._counts.pop(key, _Count())  # the latest are at the end
                if now - count.last > FORGET:
                    count.failures = 0
                count.failures, count.last = count.failures + 1, now
                self._counts[key] = count
            while len(self._counts) > MOST:
                del self._counts[next(iter(self._counts))]
            return 0.0

    def succeed(self, name: str, address: str) -> None:
        """Take an attempt back that turned out to be right, and the failures before it."""
        with self._lock:
            keys = dict(_keys(name, address))
            self._counts.pop(keys["both"], None)
            for kind in ("address", "name"):
                if count := self._counts.get(keys[kind]):
                    count.failures -= 1

    def _wait(self, kind: str, key: bytes, now: float) -> float:
        count = self._counts.get(key)
        if count is None or now - count.last > FORGET:
            return 0.0
        free, most = LIMITS[kind]
        over = count.failures - free
        delay = min(2.0 ** min(over, 20), most) if over >= 0 else 0.0
        return max(0.0, count.last + delay - now)


def _keys(name: str, address: str) -> Iterator[tuple[str, bytes]]:
    where = _network(address)
    for kind, parts in (("both", (name, where)), ("address", ("", where)), ("name", (name, ""))):
        text = "\0".join((kind, *parts)).encode("utf-8", "surrogatepass")
        yield kind, hashlib.sha256(text).digest()


def _network(address: str) -> str:
    """Return what one customer has: an IPv4 address, or the network of an IPv6 address."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:  # noqa: PLR2004
        return str(found)
    return str(ipaddress.ip_network((found, NETWORK), strict=False))
