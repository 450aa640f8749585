"""Which key signs a ledger: the first entry names it, and only a key itself can name its successor.

The entry that rotates the key is signed by the old key and countersigned by the new key over the
chain so far. So either key vouches for the whole chain.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from provenance.base.errors import Notice
from provenance.ledger.entry import Entry
from provenance.ledger.signing import Signer, Verifier

SCHEMA = "assay.entry/1"
DOMAIN = b"assay.key/1\n"


def first_facts(signer: Signer, time: str) -> dict[str, Any]:
    """Return the facts of a ledger's first entry."""
    public = signer.verifier.public.hex()
    return {"schema": SCHEMA, "kind": "key", "time": time, "public_key": public}


def handover_facts(head: Entry, old: Signer, new: Signer, time: str) -> dict[str, Any]:
    """Return the facts of the entry after `head` that rotates the key from `old` to `new`."""
    message = _message(head.seq + 1, head.leaf, old.verifier, new.verifier)
    return {
        **first_facts(new, time),
        "previous_key": old.verifier.public.hex(),
        "proof": new.sign(message).hex(),
    }


def key_after(item: Entry) -> bytes:
    """Return the id of the key that must sign the entry after `item`, without verifying it."""
    named = _named(item.facts) if item.kind == "key" else None
    return named.key_id if named else item.key_id


class Keychain:
    """Follows a ledger entry by entry and checks which key must have signed each."""

    def __init__(self) -> None:
        """Start before the first entry."""
        self.keys: list[Verifier] = []
        self._is_begun = False

    def faults(self, item: Entry, expected: int, where: str) -> Iterator[Notice]:
        """Yield what is wrong with an entry's signature, and adopt the key that it names."""
        facts = _facts(item)
        named = _named(facts) if facts.get("kind") == "key" else None
        if not self.keys:
            if named is None:
                if not self._is_begun:
                    what = f"entry {expected} does not name the ledger's first key"
                    yield Notice("ASSAY-L007", what, where)
                self._is_begun = True
                return
            self.keys.append(named)
        current = self.keys[-1]
        if not item.is_signed_by(current):
            what = f"entry {expected} is not signed by the ledger's key {current.key_id.hex()}"
            yield Notice("ASSAY-L007", f"{what} (it names {item.key_id.hex()})", where)
        elif facts.get("kind") == "key" and expected:
            if named is None or not _is_countersigned(item, facts, current, named):
                what = f"entry {expected}: key rotation is not countersigned by the new key"
                yield Notice("ASSAY-L007", what, where)
            else:
                self.keys.append(named)


def _is_countersigned(item: Entry, facts: Mapping[str, Any], old: Verifier, new: Verifier) -> bool:
    try:
        proof = bytes.fromhex(str(facts.get("proof", "")))
    except ValueError:
        return False
    return new.holds(proof, _message(item.seq, item.prev, old, new))


def _message(seq: int, prev: bytes, old: Verifier, new: Verifier) -> bytes:
    return DOMAIN + seq.to_bytes(8, "big") + prev + old.public + new.public


def _named(facts: Mapping[str, Any]) -> Verifier | None:
    try:
        return Verifier(bytes.fromhex(facts["public_key"]))
    except (KeyError, TypeError, ValueError):
        return None


def _facts(item: Entry) -> Mapping[str, Any]:
    try:
        facts = item.facts
    except ValueError:
        return {}
    return facts
