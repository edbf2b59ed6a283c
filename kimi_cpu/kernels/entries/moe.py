"""The mixture of experts: `route` (1 region, 2 for many tokens) and `experts` (2 regions)."""

import numpy as np
from numba import from_dtype, prange, types

from ...quant.rows16 import GROUP, ROWS
from .. import runtime
from ..arrays import Activation, Experts, Routing, SharedExpert
from ..codegen.jit import Bound, address, call, kernel, leaf
from ..micro.table import INDEX, WORKERS
from .jobs import (
    ADDRESSES,
    BLOCKS_PER_TASK,
    JOB,
    JOBS,
    OUTS,
    TILE,
    check_rows,
    fill_table,
    is_stopped,
    job,
    operand,
    output,
    run_tile,
    take_task,
    task_edges,
    tile_size,
)
from .jobs import weights as job_weights
from .matmul import ADD, MAX_GROUPS, PREFETCH, PREFETCH_BYTES, gate_up_groups, linear_blocks

ADD_WEIGHTED, CLEAR, SIGMOID = INDEX["add_weighted"], INDEX["clear"], INDEX["sigmoid"]
SCORES = INDEX["scores_1_1"]
ROUTER_EPS = np.float32(1e-20)  # modeling_deepseek.py: MoEGate, added to the sum of the chosen weights
SERIAL_TOKENS = 4  # fewer tokens are sorted by one thread: a region would cost more
IDS = types.Array(types.int32, 2, "C")
F32_2D = types.Array(types.float32, 2, "C")
F32_2D_READ = types.Array(types.float32, 2, "C", readonly=True)
F32_READ = types.Array(types.float32, 1, "C", readonly=True)
CHOICE = np.dtype([("top_k", "i8"), ("n_group", "i8"), ("topk_group", "i8"), ("normalise", "i8"), ("factor", "f4")])


def route(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    routing: Routing,
    ids: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Experts of each token, ascending, ids i32[T, k] and weights f32[T, k]: reference.route says how.

    x f32[T, P], w f32[E, H], bias f32[E].
    """
    if len(x):
        bind_route(x, w, bias, routing, ids, weights)(len(x))


def bind_route(
    x: np.ndarray,
    w: np.ndarray,
    bias: np.ndarray,
    routing: Routing,
    ids: np.ndarray,
    weights: np.ndarray,
) -> Bound:
    """`route` as a function of the number of rows; see `bind_linear`."""
    tokens = len(x)
    check_rows(x, tokens, w.shape[1])
    choice = np.array([routing], CHOICE)
    space = runtime.scratch("route", 2 * 4 * tokens * len(w)).view(np.float32)
    p = space[: 2 * tokens * len(w)].reshape(2, tokens, len(w))
    return _route.bind(runtime.context(), x.ctypes.data, x.strides[0], w, bias, choice, p, ids, weights)


@kernel(
    types.void(
        ADDRESSES,
        types.int64,
        types.int64,
        F32_2D_READ,
        F32_READ,
        types.Array(from_dtype(CHOICE), 1, "C"),
        types.Array(types.float32, 3, "C"),
        IDS,
        F32_2D,
        types.int64,
    )
)
def _route(micro, x, pitch, w, bias, choice, p, ids, weights, tokens):
    """p[0] is room for probabilities, p[1] for scores."""
    num_experts, workers = len(bias), micro[WORKERS]
    step = 4 * max(1, min(16, num_experts // (4 * 4 * workers)))
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        out = np.empty(16, np.float32)
        while True:
            begin = take_task(micro, counter) * step
            if begin >= num_experts:
                break
            _score(micro, x, pitch, w, p, tokens, begin, min(begin + step, num_experts), out)
    if tokens < SERIAL_TOKENS:
        for t in range(tokens):
            _choose(micro, bias, choice[0], p[0, t], p[1, t], ids[t], weights[t])
    else:
        for t in prange(tokens):
            _choose(micro, bias, choice[0], p[0, t], p[1, t], ids[t], weights[t])


@leaf
def _score(micro, x, pitch, w, p, tokens, begin, end, out):
    """Logits of experts begin..end-1 for all tokens into p[0], in tiles of up to 4 tokens x 4 experts."""
    width = w.shape[1] * 4
    t = 0
    while t < tokens:
        m = 4 if tokens - t >= 4 else 1
        e = begin
        while e < end:
            n = 4 if end - e >= 4 else 1
            tile = SCORES + (2 if m == 4 else 0) + (1 if n == 4 else 0)
            call(micro[tile], (x + t * pitch, pitch, address(w) + e * width, width, w.shape[1], address(out)))
            for i in range(m):
                for j in range(n):
                    p[0, t + i, e + j] = out[i * n + j]
            e += n
        t += m


@leaf
def _choose(micro, bias, choice, probability, score, ids, weights):
    """One token: probability f32[E] holds its logits; score f32[E] is room; ids i32[k] and weights f32[k] come out.

    A logit or a bias that is no number makes all weights NaN: an expert that is never chosen for it would go unnoticed.
    """
    num_experts = len(bias)
    zero = np.float32(0)
    for e in range(num_experts):
        zero += (probability[e] + bias[e]) * np.float32(0)
    call(micro[SIGMOID], (address(probability), address(probability), num_experts))
    for e in range(num_experts):
        score[e] = probability[e] + bias[e]
    if choice.n_group > 1:
        _keep_groups(score, choice.n_group, choice.topk_group)
    taken = np.zeros(num_experts, np.uint8)
    for _ in range(choice.top_k):
        taken[_best(score, taken)] = 1
    total = np.float32(0)
    i = 0
    for e in range(num_experts):
        if taken[e]:
            ids[i] = e
            weights[i] = probability[e]
            total += probability[e]
            i += 1
    for i in range(choice.top_k):
        weight = weights[i] / (total + ROUTER_EPS) if choice.normalise else weights[i]
        weights[i] = weight * choice.factor + zero


@leaf
def _best(score, taken):
    """The first of the largest scores that are not taken; NaN is below everything."""
    best = -1
    for i in range(len(score)):
        if not taken[i] and (best < 0 or score[i] > score[best] or (np.isnan(score[best]) and not np.isnan(score[i]))):
            best = i
    return best


@leaf
def _keep_groups(score, n_group, topk_group):
    """Sets the scores outside the best groups to -inf; a group is as good as the sum of its two best."""
    size = len(score) // n_group
    quality = np.empty(n_group, np.float32)
    for g in range(n_group):
        taken = np.zeros(size, np.uint8)
        members = score[g * size : (g + 1) * size]
        total = np.float32(0)
        for _ in range(min(2, size)):
            i = _best(members, taken)
            taken[i] = 1
            total += members[i]
        quality[g] = total
    kept = np.zeros(n_group, np.uint8)
    for _ in range(topk_group):
        kept[_best(quality, kept)] = 1
    for g in range(n_group):
        if not kept[g]:
            score[g * size : (g + 1) * size] = -np.inf


def experts(
    e: Experts,
    a: Activation,
    ids: np.ndarray,
    weights: np.ndarray,
    hidden: Activation,
    out: np.ndarray,
    add: bool = True,
    shared: SharedExpert | None = None,
) -> None:
    """out f32[T, P] (+)= sum over the chosen experts of weight * down(silu(gate a) * (up a)), in ascending expert id.

    What the shared expert gives is added last. 2 regions. ids i32[T, k] ascending, weights f32[T, k]; hidden: room for
    [T * k, I], rows sorted by expert.
    """
    if len(ids):
        bind_experts(e, a, ids, weights, hidden, out, add, shared)(len(ids))


def bind_experts(
    e: Experts,
    a: Activation,
    ids: np.ndarray,
    weights: np.ndarray,
    hidden: Activation,
    out: np.ndarray,
    add: bool = True,
    shared: SharedExpert | None = None,
) -> Bound:
    """`experts` as a function of the number of rows; see `bind_linear`."""
    tokens, top_k = ids.shape
    check_rows(out, tokens, e.cols)
    check_rows(hidden.x, tokens * top_k, e.rows)
    int8, base = a.q is not None, e.data.ctypes.data
    gate, up, down = e.kinds
    jobs = [
        (*job_weights(gate, e.cols, int8, base + e.gate_offset, e.rows), *operand(a, gate), 0, 0),
        (*job_weights(up, e.cols, int8, base + e.up_offset, e.rows), *operand(a, up), 0, 0),
        (
            *job_weights(down, e.rows, int8, base + e.down_offset, e.cols),
            *operand(hidden, down),
            out.ctypes.data,
            out.strides[0],
        ),
    ]
    outs = [output(hidden)]
    if shared is not None:
        inner = shared.hidden.rows(tokens)
        jobs += job(shared.gate, a, inner.x), job(shared.up, a, inner.x), job(shared.down, inner, out)
        outs.append(output(inner))
    outs = np.concatenate(outs)
    return _experts.bind(runtime.context(), np.array(jobs, JOB), e.offsets, outs, ids, weights, add)


@kernel(
    types.void(
        ADDRESSES,
        JOBS,
        types.Array(types.int64, 1, "C", readonly=True),
        OUTS,
        types.Array(types.int32, 2, "C", readonly=True),
        F32_2D_READ,
        types.boolean,
        types.int64,
    )
)
def _experts(micro, jobs, offsets, hidden, all_ids, all_weights, add, tokens):
    """Rows of (token, choice) are sorted by expert; active: the experts that occur, first: where their rows begin.

    jobs, hidden: the routed experts', then the shared one's if there is one, whose tasks come first.
    """
    workers, ids, weights = micro[WORKERS], all_ids[:tokens], all_weights[:tokens]
    order, active, first = _sort(ids, len(offsets))
    top_k = ids.shape[1]
    gate_table = np.empty((len(order), 2), np.int64)
    _fill_sorted(gate_table, jobs[0], order, top_k)
    up_table = gate_table
    if jobs[1].x != jobs[0].x:
        up_table = np.empty((len(order), 2), np.int64)
        _fill_sorted(up_table, jobs[1], order, top_k)
    groups = (jobs[0].rows + GROUP - 1) // GROUP
    share = len(order) // len(active)  # tokens of an expert, on average
    edges = task_edges(groups * len(active), 4 * jobs[0].block_bytes, 1, share, workers)
    shared = jobs[3:]
    inputs, shared_edges = _shared_tasks(shared, tokens, workers)
    counter = np.zeros(2, np.int64)
    for _ in prange(workers):
        buffer = np.empty((2, 2 * MAX_GROUPS, TILE, ROWS), np.float32)
        moved = jobs[:2].copy()
        while True:
            task = take_task(micro, counter[:1])
            if task < len(shared_edges) - 1:
                begin, end = shared_edges[task], shared_edges[task + 1]
                gate_up_groups(micro, shared[0], shared[1], inputs[0], inputs[1], hidden[1], 0, begin, end, buffer)
                continue
            task -= len(shared_edges) - 1
            if task >= len(edges) - 1:
                break
            for a in range(edges[task] // groups, (edges[task + 1] - 1) // groups + 1):
                for j in range(2):
                    moved[j].weights = jobs[j].weights + offsets[active[a]]
                rows, up_rows = gate_table[first[a] : first[a + 1]], up_table[first[a] : first[a + 1]]
                begin, end = max(edges[task] - a * groups, 0), min(edges[task + 1] - a * groups, groups)
                gate_up_groups(micro, moved[0], moved[1], rows, up_rows, hidden[0], first[a], begin, end, buffer)
    inner = np.empty((len(order), 2), np.int64)
    fill_table(inner, jobs[2].x, jobs[2].x_pitch, jobs[2].s, jobs[2].s_pitch)
    blocks = (jobs[2].rows + ROWS - 1) // ROWS
    edges = task_edges(blocks, jobs[2].block_bytes, BLOCKS_PER_TASK, share, workers)
    for _ in prange(workers):
        buffer = np.empty((TILE, ROWS), np.float32)
        moved = jobs[2:].copy()
        while True:
            task = take_task(micro, counter[1:])
            if task >= len(edges) - 1:
                break
            begin, end = edges[task], edges[task + 1]
            if not add:
                target, count = jobs[2].out + begin * ROWS * 4, min(end * ROWS, jobs[2].rows) - begin * ROWS
                call(micro[CLEAR], (target, jobs[2].out_pitch, tokens, count))
            for a in range(len(active)):
                if is_stopped(micro):
                    break
                following = jobs[2].weights + offsets[active[min(a + 1, len(active) - 1)]]
                call(micro[PREFETCH], (following + begin * jobs[2].block_bytes, PREFETCH_BYTES))
                moved[0].weights = jobs[2].weights + offsets[active[a]]
                _down(micro, moved[0], inner, order, weights, first[a], first[a + 1], begin, end, buffer)
            if len(shared):
                linear_blocks(micro, shared[2], inputs[2], begin, end, ADD, buffer)


@leaf
def _fill_sorted(table, w, order, top_k):
    """Addresses of a job's inputs, of the tokens of sorted rows (token, choice), table i64[T * k, 2]."""
    for i in range(len(table)):
        table[i, 0] = w.x + order[i] // top_k * w.x_pitch
        table[i, 1] = w.s + order[i] // top_k * w.s_pitch


@leaf
def _shared_tasks(shared, tokens, workers):
    """Addresses of the inputs of the shared expert's matrices i64[3, T, 2], and where tasks of gate and up begin."""
    inputs = np.empty((len(shared), tokens, 2), np.int64)
    for j in range(len(shared)):
        fill_table(inputs[j], shared[j].x, shared[j].x_pitch, shared[j].s, shared[j].s_pitch)
    if len(shared) == 0:
        return inputs, np.zeros(1, np.int64)
    groups = (shared[0].rows + GROUP - 1) // GROUP
    return inputs, task_edges(groups, 4 * shared[0].block_bytes, 1, tokens, workers)


@leaf
def _sort(ids, num_experts):
    """(rows t * k + i sorted by expert and then by token, experts that occur, where their rows begin)."""
    tokens, top_k = ids.shape
    begin = np.zeros(num_experts + 1, np.int64)
    for t in range(tokens):
        for i in range(top_k):
            begin[ids[t, i] + 1] += 1
    occurring = 0
    for e in range(num_experts):
        occurring += begin[e + 1] > 0
        begin[e + 1] += begin[e]
    active, first = np.empty(occurring, np.int64), np.empty(occurring + 1, np.int64)
    n = 0
    for e in range(num_experts):
        if begin[e + 1] > begin[e]:
            active[n], first[n] = e, begin[e]
            n += 1
    first[n] = begin[num_experts]
    order = np.empty(tokens * top_k, np.int64)
    for t in range(tokens):
        for i in range(top_k):
            order[begin[ids[t, i]]] = t * top_k + i
            begin[ids[t, i]] += 1
    return order, active, first


@leaf
def _down(micro, w, table, order, weights, start, stop, begin, end, buffer):
    """out rows of tokens order[start..stop-1] += weight * (row blocks begin..end-1 of one expert's down matrix)."""
    top_k = weights.shape[1]
    for block in range(begin, end):
        count = min(ROWS, w.rows - block * ROWS)
        t = start
        while t < stop:
            size = tile_size(stop - t, w.tile)
            run_tile(micro, w, block, table, t, size, buffer)
            for i in range(size):
                token, choice = order[t + i] // top_k, order[t + i] % top_k
                target = w.out + token * w.out_pitch + block * ROWS * 4
                call(micro[ADD_WEIGHTED], (address(buffer[i]), target, count, weights[token, choice]))
            t += size
