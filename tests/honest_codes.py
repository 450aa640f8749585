"""Texts without personal data that look as if they hid some: ids, hashes, encodings, addresses."""

import base64
import gzip
import hashlib
import json
import random
import uuid
from collections.abc import Callable

SENTENCES = (
    "the parcel came late and nobody answered",
    "thanks for the quick repair of the small engine",
    "please send the invoice for the second half of the year",
    "das Gerät läuft wieder, vielen Dank für die schnelle Hilfe",
)


def _bytes(rng: random.Random, most: int = 48) -> bytes:
    return rng.randbytes(rng.randint(12, most))


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _packed(rng: random.Random) -> str:
    row = {"id": rng.randrange(10**6), "status": rng.choice(["open", "paid"])}
    return base64.b64encode(gzip.compress(json.dumps(row).encode(), mtime=0)).decode()


def _plain_json(rng: random.Random) -> str:
    row = {"id": rng.randrange(10**6), "qty": rng.randrange(9), "at": "2024-05-06T10:15:30Z"}
    return base64.b64encode(json.dumps(row).encode()).decode()


def _url(rng: random.Random) -> str:
    path = rng.choice(["a%20b", "caf%C3%A9", "x/y", "search"])
    return f"https://shop.example.com/{path}?id={_digits(rng, 9)}&t=17{_digits(rng, 8)}&s=%2Fin"


KINDS: dict[str, Callable[[random.Random], str]] = {
    "base64 of bytes": lambda rng: base64.b64encode(_bytes(rng)).decode(),
    "base64 for URLs": lambda rng: base64.urlsafe_b64encode(_bytes(rng)).decode().rstrip("="),
    "base64 of a picture": lambda rng: (
        "data:image/png;base64,"
        + base64.b64encode(b"\x89PNG\r\n\x1a\n" + rng.randbytes(90)).decode()
    ),
    "base64 of words": lambda rng: base64.b64encode(rng.choice(SENTENCES).encode()).decode(),
    "base64 of JSON": _plain_json,
    "base64 of gzip": _packed,
    "hex of bytes": lambda rng: _bytes(rng).hex(),
    "hex of words": lambda rng: rng.choice(SENTENCES).encode().hex(),
    "MD5": lambda rng: hashlib.md5(_bytes(rng), usedforsecurity=False).hexdigest(),
    "SHA-1": lambda rng: hashlib.sha1(_bytes(rng), usedforsecurity=False).hexdigest(),
    "SHA-256": lambda rng: hashlib.sha256(_bytes(rng)).hexdigest(),
    "hex id": lambda rng: f"0x{rng.randbytes(rng.randint(4, 10)).hex()}",
    "object id": lambda rng: rng.randbytes(12).hex(),
    "UUID": lambda rng: str(uuid.UUID(bytes=rng.randbytes(16), version=4)),
    "UUID in capitals": lambda rng: str(uuid.UUID(bytes=rng.randbytes(16), version=4)).upper(),
    "order number": lambda rng: f"order {_digits(rng, 10)}",
    "grouped order number": lambda rng: "-".join(
        (_digits(rng, 3), _digits(rng, 7), _digits(rng, 7))
    ),
    "order with letters": lambda rng: f"ORD-2024-{_digits(rng, 6)}",
    "invoice": lambda rng: (
        f"invoice INV{_digits(rng, 8)} of {rng.randrange(9999)}.{_digits(rng, 2)}"
    ),
    "tracking number": lambda rng: f"tracking 1Z{_digits(rng, 16)}",
    "SKU": lambda rng: f"SKU {_digits(rng, 4)}-{_digits(rng, 4)}-{_digits(rng, 4)}",
    "EAN": lambda rng: f"ean {_digits(rng, 13)}",
    "ISBN": lambda rng: f"isbn 978-3-16-{_digits(rng, 6)}-{_digits(rng, 1)}",
    "URL": _url,
    "URL with an id": lambda rng: f"https://example.org/p/{_bytes(rng, 16).hex()}/view?page=2",
    "path": lambda rng: f"/srv/data/2024/05/{_digits(rng, 8)}/part-{_digits(rng, 5)}.parquet",
    "time stamp": lambda rng: f"at 17{_digits(rng, 8)} and 17{_digits(rng, 11)}",
    "date and time": lambda rng: (
        f"2024-0{rng.randint(1, 9)}-1{_digits(rng, 1)}T1{_digits(rng, 1)}:15:30.{_digits(rng, 3)}Z"
    ),
    "coordinates": lambda rng: f"{rng.uniform(-90, 90):.5f}, {rng.uniform(-180, 180):.5f}",
    "amounts": lambda rng: f"{rng.randrange(10**7):,} EUR, {rng.uniform(0, 9999):.2f} USD",
    "version": lambda rng: f"version {rng.randrange(20)}.{rng.randrange(99)}.{rng.randrange(999)}",
    "serial number": lambda rng: f"serial {rng.choice('ABCX')}{rng.choice('KLM')}{_digits(rng, 9)}",
}


def cases(each: int, seed: int) -> list[tuple[str, str]]:
    """Return (kind, text), `each` of every kind."""
    rng = random.Random(seed)
    frames = ("{}", "see {} please", "{}; checked")
    return [
        (kind, rng.choice(frames).format(make(rng)))
        for kind, make in KINDS.items()
        for _ in range(each)
    ]
