"""Statistics that every table needs: the interval of a mean is Student's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import t

from backlight.table.statistics import mean_interval
from tests.processes import run_script


@pytest.mark.parametrize("count", [2, 3, 30, 1000])
def test_the_interval_of_a_mean_is_students(count: int) -> None:
    values = np.random.default_rng(count).normal(size=count)
    mean, interval = mean_interval(np.append(values, np.nan))
    assert mean == values.mean()
    assert interval == pytest.approx(t.interval(0.95, count - 1, mean, values.std(ddof=1) / count**0.5), rel=1e-12)


def test_it_imports_no_distribution_but_its_own() -> None:
    script = """
import sys
import numpy as np
from backlight.table.statistics import mean_interval
mean_interval(np.array([1.0, 2.0, 4.0]))
print("scipy.stats" in sys.modules)
"""
    told = run_script(script)
    assert (told.status, told.out) == (0, "False\n"), told.err
