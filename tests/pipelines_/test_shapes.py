"""No honest table crashes a check, whatever its shape; `benchmarks/shapes.py` tries thousands."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# of the first 6,000 seeds, small tables that together cover most pairs of type, role, name and size
SEEDS = (
    *(3, 288, 371, 419, 500, 627, 660, 825, 882, 901),
    *(928, 1016, 1088, 1215, 1244, 1725, 1852, 1911, 2056, 2083),
    *(2242, 2430, 2444, 2471, 2612, 2616, 2903, 2943, 2958, 3014),
    *(3039, 3054, 3104, 3164, 3193, 3342, 3430, 3453, 3460, 3526),
    *(3661, 3849, 3855, 3890, 3985, 4024, 4089, 4176, 4490, 4745),
    *(4828, 4899, 5008, 5087, 5296, 5319, 5368, 5609, 5748, 5875),
)
AT_ONCE = 6
NUMBERS = 901  # one of them that has outliers to look for


@pytest.fixture(scope="module")
def bench():
    spec = importlib.util.spec_from_file_location("shapes", ROOT / "benchmarks/shapes.py")
    made = importlib.util.module_from_spec(spec)
    before = list(sys.path)
    spec.loader.exec_module(made)
    yield made
    sys.path[:] = before


@pytest.mark.parametrize("start", range(0, len(SEEDS), AT_ONCE))
def test_every_shape_is_examined_or_refused_with_a_code_that_fits(bench, warm, tmp_path, start):
    for seed in SEEDS[start : start + AT_ONCE]:
        result = bench.examine(warm, seed, tmp_path)
        assert result["problems"] == [], result


def test_a_check_that_crashes_is_noticed_and_its_frames_are_shown(bench, warm, tmp_path):
    broken = {"checks.outliers:SIZE": "no number"}
    result = bench.examine(warm, NUMBERS, tmp_path, patch=broken)
    crashed, shown = result["problems"]
    assert crashed.startswith("check outliers: ")
    assert "the check outliers did not run: fit raised TypeError" in shown
    assert "sample.py" in shown
    assert "no number" not in shown  # the exception's own text may be a cell
