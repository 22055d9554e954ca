"""The benchmark runs to its end. What its figures are is no test."""
import subprocess
import sys

import pytest

from support import ROOT


@pytest.mark.slow
def test_the_benchmark_prints_its_tables():
    done = subprocess.run([sys.executable, '-B', ROOT / 'tests' / 'benchmark.py', '--quick'],
                          capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, '')
    assert done.stdout.count('/ copies') == done.stdout.count('/ bare') == 1
