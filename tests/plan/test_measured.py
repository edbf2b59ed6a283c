"""What is measured of this machine."""

from kimi_cpu.plan import matrix_rate


def test_matrices_are_multiplied_at_some_rate():
    assert 0.1 < matrix_rate() < 1e6
