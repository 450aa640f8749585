"""Merkle trees: one root over many leaves, and proofs whose length is the tree's height.

Hashes and proofs are those of RFC 6962 (and RFC 9162, sections 2.1.3 and 2.1.4):
    leaf = SHA-256(0x00 || bytes)    node = SHA-256(0x01 || left || right)
A tree over the ledger's entries, or over a run's rows, shows that none was removed.
Source: RFC 6962, RFC 9162.
"""

import hashlib
from collections.abc import Iterable, Sequence
from itertools import islice

LEAF, NODE = b"\0", b"\1"
_BLOCK = 1 << 12  # leaves that are hashed together, level by level; a power of two


class Tree:
    """The root of a tree that grows leaf by leaf; its state is one hash per level."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        """Start with some leaf hashes, 32 bytes each."""
        self.size = 0
        self._peaks: list[bytes] = []
        self.extend(leaves)

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Add leaf hashes, in order."""
        left = iter(leaves)
        while block := list(islice(left, _BLOCK - self.size % _BLOCK)):
            if len(block) == _BLOCK:
                self._add(_root(block), _BLOCK)
            else:
                for leaf in block:
                    self._add(leaf, 1)

    def root(self) -> bytes:
        """Return the root of the leaves so far; without leaves, the SHA-256 of no bytes."""
        if not self._peaks:
            return hashlib.sha256().digest()
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node(peak, root)
        return root

    def _add(self, top: bytes, width: int) -> None:
        """Add the root of a full subtree of `width` leaves, which divides the size so far."""
        self.size += width
        pairs = self.size // width
        while not pairs % 2:
            top = node(self._peaks.pop(), top)
            pairs //= 2
        self._peaks.append(top)


def node(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return hashlib.sha256(NODE + left + right).digest()


def inclusion(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """Return the hashes that lead from the leaf at `index` to the root of all `leaves`."""
    path: list[bytes] = []
    level = list(leaves)
    while len(level) > 1:
        if (sibling := index ^ 1) < len(level):
            path.append(level[sibling])
        level, index = _above(level), index >> 1
    return path


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a path leads to, None if it cannot be the path of that leaf."""
    if not 0 <= index < size:
        return None
    last, root = size - 1, leaf
    for sibling in path:
        if not last:
            return None
        if index % 2 or index == last:
            root = node(sibling, root)
            while not index % 2 and index:
                index, last = index >> 1, last >> 1
        else:
            root = node(root, sibling)
        index, last = index >> 1, last >> 1
    return None if last else root


def consistency(leaves: Sequence[bytes], first: int) -> list[bytes]:
    """Return the hashes that show that leaves were only added after the first `first` ones.

    Args:
        leaves: all leaf hashes of the larger tree.
        first: size of the smaller tree, 0 < first <= len(leaves).
    """
    path: list[bytes] = []
    whole, start, size = True, 0, len(leaves)
    while first < size:
        half = 1 << (size - 1).bit_length() - 1
        if first <= half:
            path.append(_root(leaves[start + half : start + size]))
            size = half
        else:
            path.append(_root(leaves[start : start + half]))
            whole, first, start, size = False, first - half, start + half, size - half
    if not whole:
        path.append(_root(leaves[start : start + size]))
    return path[::-1]


def is_consistent(first: int, old: bytes, size: int, new: bytes, path: Sequence[bytes]) -> bool:
    """Return whether `path` shows that the tree (size, new) continues the tree (first, old)."""
    if first == size:
        return old == new and not path
    if not 0 < first < size or not path:
        return False
    rest = list(path)
    index, last = first - 1, size - 1
    while index % 2:
        index, last = index >> 1, last >> 1
    small = large = rest.pop(0) if index else old
    for sibling in rest:
        if not last:
            return False
        if index % 2 or index == last:
            small, large = node(sibling, small), node(sibling, large)
            while not index % 2 and index:
                index, last = index >> 1, last >> 1
        else:
            large = node(large, sibling)
        index, last = index >> 1, last >> 1
    return not last and small == old and large == new


def _root(leaves: Sequence[bytes]) -> bytes:
    level = list(leaves)
    while len(level) > 1:
        level = _above(level)
    return level[0]


def _above(level: list[bytes]) -> list[bytes]:
    """Return the level above; a last node without a sibling moves up unchanged."""
    sha256 = hashlib.sha256
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [sha256(NODE + left + right).digest() for left, right in pairs]
    return [*above, level[-1]] if len(level) % 2 else above
