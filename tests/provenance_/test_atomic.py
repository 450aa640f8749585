"""Crash-safe writes: whole or not at all, and the living told apart from the dead."""

import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from provenance import atomic
from provenance.errors import AssayError


def test_exclusive_write_never_replaces(tmp_path):
    atomic.write_exclusive(tmp_path / "a", b"first", tmp_path / "tmp")
    with pytest.raises(FileExistsError):
        atomic.write_exclusive(tmp_path / "a", b"second", tmp_path / "tmp")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(errno.ENOSPC, "E002"), (errno.EDQUOT, "E002"), (errno.EROFS, "E001"), (errno.EACCES, "E003")],
)
def test_os_errors_get_their_codes(tmp_path, number, code):
    with pytest.raises(AssayError) as refused, atomic.coded(tmp_path):
        raise OSError(number, os.strerror(number))
    assert (refused.value.code, refused.value.exit_code) == (f"ASSAY-{code}", 3)
