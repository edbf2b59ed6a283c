"""Routings that are drawn have the statistics of those that they stand for."""

import numpy as np
import pytest

from .routings import flat, independent, k2_like


@pytest.mark.parametrize(
    ("make", "expected"), [(k2_like, (0.31, 0.18)), (flat, (0.27, 0.14)), (independent, (0.02, 0.02))]
)
def test_experts_are_used_again_as_often_as_they_should(make, expected):
    (ids, scores), used = make(200, layers=8), np.zeros((200, 8, 384), bool)
    np.put_along_axis(used, ids.astype(np.int64), True, axis=2)
    assert (used.sum(axis=2) == 8).all()
    assert (scores[used].reshape(-1, 8).min(axis=1) > scores[~used].reshape(-1, 376).max(axis=1)).all()
    for lag, share in zip((1, 8), expected, strict=True):
        assert abs((used[lag:] & used[:-lag]).sum() / used[lag:].sum() - share) < 0.03
