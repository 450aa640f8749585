"""Stand-ins for what libraries import at their own start; each case in a process of its own."""

import subprocess
import sys

import pytest

LIBRARY = {
    "lib/__init__.py": """
import slow
import slow.inner
from slow import inner as also, quick
from slow.inner import total, Made, NUMBER
from . import own
from .own import Kept
import missing_until_there
""",
    "lib/own.py": """
from slow import Base

class Kept(Base):
    pass

def is_made(item):
    from slow.inner import Made
    return isinstance(item, Made)
""",
    "lib/late.py": "from slow import Base, inner\ndef late(): return inner.total([4])\n",
    "slow/__init__.py": """
class Base:
    pass

quick = 1

def __getattr__(name):
    import importlib
    return importlib.import_module(f"slow.{name}")
""",
    "slow/inner.py": """
import time
time.sleep(0.2)
NUMBER = [3]
class Made:
    pass
def total(values):
    return sum(values)
""",
    "missing_until_there.py": "",
}
START = """
import sys
from provenance.base import postponed
postponed.install({"lib": ("slow.inner",)})
import lib
"""
CASES = {
    "what is called is imported then": """
assert "slow.inner" not in sys.modules
assert lib.total([1, 2]) == 3
assert "slow.inner" in sys.modules
""",
    "what is looked into is imported then": """
assert lib.NUMBER.count(3) == 1
assert "slow.inner" in sys.modules
""",
    "an instance is one once the class is there": """
assert not isinstance(1, lib.Made)
assert "slow.inner" not in sys.modules
import slow.inner
assert isinstance(slow.inner.Made(), lib.Made) and not isinstance(1, lib.Made)
assert lib.own.is_made(slow.inner.Made())
""",
    "a module that is there is itself": """
assert lib.also.total([1]) == 1
import slow.inner
assert lib.also.Made is slow.inner.Made
""",
    "other importers see nothing of it": """
assert lib.quick == 1 and lib.Kept.__mro__[1].__module__ == "slow"
from slow.inner import total
assert type(total).__name__ == "function" and total is sys.modules["slow.inner"].total
""",
    "functions import as ever": """
assert lib.own.is_made(1) is False
assert "slow.inner" in sys.modules
import lib.late
assert lib.late.late() == 4
""",
    "threads that call at once all get an answer": """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(8) as pool:
    assert list(pool.map(lib.total, [[n] for n in range(8)])) == list(range(8))
""",
    "a base of a class is imported": """
class Own(lib.Made):
    pass
assert Own.__mro__[1] is sys.modules["slow.inner"].Made
""",
}


def run(folder, code):
    for name, text in LIBRARY.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    code = f"import sys\nsys.path.insert(0, {str(folder)!r})\n{code}"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("case", CASES)
def test_a_stand_in_becomes_what_it_stands_for(case, tmp_path):
    run(tmp_path, START + CASES[case])


def test_a_library_may_be_as_good_as_not_installed(tmp_path):
    code = """
from provenance.base import postponed
postponed.install({"lib": ()}, absent={"lib": ("missing_until_there",)})
try:
    import lib
except ModuleNotFoundError as error:
    assert error.name == "missing_until_there"
else:
    raise AssertionError
import missing_until_there
import lib
"""
    run(tmp_path, code)


def test_a_name_may_be_given_at_once(tmp_path):
    code = """
from provenance.base import postponed
postponed.install({"lib": ("slow.inner",)}, instead={"slow.inner.total": max})
import lib
assert lib.total([1, 2]) == 2
assert "slow.inner" not in sys.modules
"""
    run(tmp_path, code)
