"""The benchmark of files larger than the memory: its bounds are those of a disk and of computing that overlap."""

import numpy as np
import pytest

from benchmarks.out_of_core import figures
from benchmarks.out_of_core_engine import impose
from benchmarks.out_of_core_sample import check
from kimi_cpu.kernels import make_dispatch

ENGINE = {"outside": 0.5, "rate": 1e9, "num_layers": 2, "top_k": 8}
PIECE = {"disk": 0, "whole_s": 0.1, "rate": 1e9, "stride": 10_000_000}  # an expert takes 10 ms


@pytest.mark.parametrize(
    ("missing", "bound_s", "layers_s"),
    [
        ([0, 0], 0.1, 0.1),  # 50 ms outside the experts, 25 in those of each layer
        ([2, 2], 0.1, 0.1),
        ([0, 4], 0.1, 0.115),  # the first layer's experts do not wait for the second layer's
        ([8, 8], 0.21, 0.21),
    ],
)
def test_a_token_takes_no_less_than_its_computing_and_what_the_disk_takes_longer(missing, bound_s, layers_s):
    piece = PIECE | {"token_s": 0.3, "missing": [missing] * 4}
    rate, disk, speed, bound, layers_bound, hits = figures(ENGINE, [piece])
    assert (bound, layers_bound) == (f"{bound_s / 0.3:.0%}", f"{layers_s / 0.3:.0%}")
    assert (rate, speed, hits) == ("1.00", "3.33", f"{1 - sum(missing) / 16:.0%}")
    assert disk == f"{sum(missing) * 0.01 / 0.1:.2f}"


def test_an_imposed_routing_is_a_dispatch_of_its_experts():
    dispatch, ids = make_dispatch(3, 10, 2), np.array([[1, 4], [0, 4], [1, 9]])
    impose(dispatch, ids, None)
    count = int(dispatch.num_active[0])
    assert dispatch.active[:count].tolist() == [0, 1, 4, 9]
    for place in range(count):
        rows = dispatch.order[dispatch.first[place] : dispatch.first[place + 1]]
        assert (ids.reshape(-1)[rows] == dispatch.active[place]).all() and (np.diff(rows) > 0).all()


@pytest.mark.parametrize(
    ("answer", "missing", "text"), [([1, 3], [2, 0], "are"), ([1, 2], [0, 0], "0% .* absent"), ([1, 2], [8, 8], "100%")]
)
def test_a_sample_is_of_equal_tokens_and_of_experts_that_come(answer, missing, text):
    check(25, {"answer": [1, 2], "pieces": [{"missing": [[2, 0]] * 4}], "top_k": 8}, [1, 2])
    with pytest.raises(SystemExit, match=text):
        check(25, {"answer": answer, "pieces": [{"missing": [missing] * 4}], "top_k": 8}, [1, 2])
