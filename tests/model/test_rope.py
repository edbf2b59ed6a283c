"""YaRN against the figures of the reference for the family's own settings."""

import numpy as np
import pytest

from kimi_cpu.config import RopeScaling
from kimi_cpu.model.rope import attention_factor, cos_sin, inverse_frequencies, softmax_scale

K2 = RopeScaling(64.0, 4096, 1.0, 1.0, 1.0, 1.0)
K2_INSTRUCT = RopeScaling(32.0, 4096, 1.0, 1.0, 1.0, 1.0)
K2_5 = RopeScaling(64.0, 4096, 32.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        (K2, {0: 1, 9: 0.0476886124, 19: 0.00162175991, 20: 1.80702339e-05, 31: 4.38220646e-07}),
        (K2_INSTRUCT, {1: 0.713111085, 19: 0.00162175991, 20: 3.61404677e-05, 31: 8.76441291e-07}),
        (K2_5, {8: 0.0668740305, 9: 0.043776656, 14: 0.00446584875, 19: 0.000158374991, 31: 4.38220646e-07}),
    ],
)
def test_frequencies_are_those_of_the_published_configurations(scaling, expected):
    inv_freq = inverse_frequencies(64, 50000.0, scaling)
    for pair, value in expected.items():
        assert inv_freq[pair] == pytest.approx(value, rel=2e-6)


@pytest.mark.parametrize(("scaling", "scale"), [(K2, 0.1446796258), (K2_INSTRUCT, 0.1308608), (None, 192**-0.5)])
def test_softmax_scale_is_that_of_the_published_configurations(scaling, scale):
    assert softmax_scale(192, scaling) == pytest.approx(scale, rel=1e-9)


def test_factor_of_cos_and_sin_follows_both_mscales():
    assert attention_factor(K2) == 1
    assert attention_factor(RopeScaling(64.0, 4096)) == pytest.approx(1.4158883083)
    assert attention_factor(RopeScaling(64.0, 4096, 32.0, 1.0, 0.7, 1.0)) == pytest.approx(1.29112181581 / 1.4158883083)


def test_rotation_at_position_zero_is_none():
    cos, sin = cos_sin(np.array([0, 5], np.int32), inverse_frequencies(6, 10000.0, None), 1.0)
    assert cos.dtype == sin.dtype == np.float32
    np.testing.assert_array_equal(cos[0], 1)
    np.testing.assert_array_equal(sin[0], 0)
    assert cos[1, 0] == pytest.approx(np.cos(5.0))
