"""Merkle trees against the recursive definitions of RFC 6962, and proofs that must not be had."""

import hashlib

import pytest

from provenance.ledger import merkle

LEAVES = [hashlib.sha256(b"\0" + bytes([number])).digest() for number in range(70)]
SIZES = [*range(1, 18), 31, 32, 33, 63, 64, 65, 70]


def root(leaves):
    """Return MTH(D[n]) as RFC 6962, section 2.1, defines it."""
    if len(leaves) < 2:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return hashlib.sha256(b"\1" + root(leaves[:half]) + root(leaves[half:])).digest()


@pytest.mark.parametrize("size", [0, *SIZES])
def test_root_is_that_of_the_rfc_however_the_leaves_come(size):
    assert merkle.Tree(LEAVES[:size]).root() == root(LEAVES[:size])
    tree = merkle.Tree()
    for start in range(0, size, 7):
        tree.extend(LEAVES[start : min(start + 7, size)])
    assert (tree.size, tree.root()) == (size, root(LEAVES[:size]))


def test_whole_blocks_of_leaves_give_the_same_root():
    many = [hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(9_000)]
    cut = merkle.Tree(many[:5])
    cut.extend(many[5:8_500])
    cut.extend(many[8_500:])
    assert cut.root() == merkle.Tree(many).root() == root(many)


@pytest.mark.parametrize("size", SIZES)
def test_inclusion_holds_for_its_leaf_and_place_only(size):
    leaves = LEAVES[:size]
    whole = root(leaves)
    for index in range(size):
        path = merkle.inclusion(leaves, index)
        assert merkle.root_of_inclusion(leaves[index], index, size, path) == whole
        other = leaves[index - 1] if size > 1 else bytes(32)
        assert merkle.root_of_inclusion(other, index, size, path) != whole
        assert merkle.root_of_inclusion(leaves[index], size, size, path) is None
        assert merkle.root_of_inclusion(leaves[index], index, size, [*path, whole]) != whole
        if path:
            assert merkle.root_of_inclusion(leaves[index], index, size, path[:-1]) != whole
            assert merkle.root_of_inclusion(leaves[index], index ^ 1, size, path) != whole


@pytest.mark.parametrize("size", SIZES)
def test_consistency_holds_for_its_trees_only(size):
    whole = root(LEAVES[:size])
    for first in range(1, size + 1):
        path = merkle.consistency(LEAVES[:size], first)
        old = root(LEAVES[:first])
        assert merkle.is_consistent(first, old, size, whole, path)
        other = root(LEAVES[1 : first + 1])
        assert not merkle.is_consistent(first, other, size, whole, path)
        assert not merkle.is_consistent(first, old, size, other, path)
        for place in range(len(path)):
            bent = [*path[:place], bytes(32), *path[place + 1 :]]
            assert not merkle.is_consistent(first, old, size, whole, bent)
        assert not merkle.is_consistent(first, old, size, whole, [*path, whole])
        assert not path or not merkle.is_consistent(first, old, size, whole, path[:-1])
