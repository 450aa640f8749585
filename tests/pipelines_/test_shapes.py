"""No honest table crashes a check, whatever its shape; `benchmarks/shapes.py` tries thousands."""

import importlib.util
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# of the first 6,000 seeds, small tables that together cover most pairs of type, role, name and size
SEEDS = (
    *(64, 71, 312, 640, 733, 739, 764, 789, 849, 950),
    *(1153, 1156, 1259, 1274, 1374, 1615, 1765, 1825, 1852, 1864),
    *(1948, 1976, 2002, 2209, 2410, 2471, 2694, 2736, 2872, 2907),
    *(2987, 3038, 3184, 3186, 3375, 3414, 3430, 3457, 3502, 4069),
    *(4232, 4457, 4460, 4490, 4690, 4712, 4761, 4813, 4828, 4842),
    *(4943, 5012, 5121, 5199, 5299, 5347, 5534, 5863, 5886, 5922),
)
AT_ONCE = 6


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
    result = bench.examine(warm, SEEDS[5], tmp_path, patch=broken)
    crashed, shown = result["problems"]
    assert crashed.startswith("check outliers: ")
    assert "the check outliers did not run: fit raised TypeError" in shown
    assert "sample.py" in shown
    assert "no number" not in shown  # the exception's own text may be a cell
