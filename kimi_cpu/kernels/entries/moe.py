"""The mixture of experts: `route` (1 region, 2 for many tokens), `experts_gate_up` and `experts_down` (1 region each).

Experts are taken at places of the dispatch's list of active ones. Gate and up of some of them may be computed in any
order, as they come to memory; down adds to the output and goes over the list from its beginning to its end, so that
every output is summed in one order.
"""

import numpy as np
from numba import from_dtype, prange, types

from ...quant.rows16 import GROUP, ROWS
from .. import runtime
from ..arrays import Activation, Dispatch, Experts, Routing, SharedExpert
from ..codegen.jit import Call, Rows, StepArg, address, call, kernel, leaf
from ..micro import INDEX, WORKERS
from . import (
    ADDRESSES,
    BLOCKS_PER_TASK,
    JOB,
    JOBS,
    OUTS,
    TILE,
    blocks_of_tile,
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
from . import weights as job_weights
from .matmul import ADD, MAX_GROUPS, PREFETCH, PREFETCH_BYTES, gate_up_groups, linear_blocks

ADD_WEIGHTED, CLEAR, SIGMOID = INDEX["add_weighted"], INDEX["clear"], INDEX["sigmoid"]
SCORES = INDEX["scores_1_1"]
ROUTER_EPS = np.float32(1e-20)  # modeling_deepseek.py: MoEGate, added to the sum of the chosen weights
SERIAL_TOKENS = 4  # fewer tokens are sorted by one thread: a region would cost more
I64 = types.int64
I64_1D = types.Array(I64, 1, "C")
F32_2D = types.Array(types.float32, 2, "C")
F32_2D_READ = types.Array(types.float32, 2, "C", readonly=True)
F32_READ = types.Array(types.float32, 1, "C", readonly=True)
CHOICE = np.dtype([("top_k", "i8"), ("n_group", "i8"), ("topk_group", "i8"), ("normalise", "i8"), ("factor", "f4")])


def route(
    x: np.ndarray, w: np.ndarray, bias: np.ndarray, routing: Routing, dispatch: Dispatch, rows: Rows = None
) -> Call:
    """Chooses and weighs the experts of each token, and sorts by expert: reference.route says how.

    x f32[T, P], w f32[E, H], bias f32[E].
    """
    tokens = len(dispatch.ids)
    check_rows(x, tokens, w.shape[1])
    choice = np.array([routing], CHOICE)
    space = runtime.scratch("route", 4 * tokens * len(w)).view(np.float32)
    p = space[: tokens * len(w)].reshape(tokens, len(w))
    fixed = runtime.context(), x.ctypes.data, x.strides[0], w, bias, choice, p
    return Call(_route, (*fixed, *dispatch), rows, tokens)


@kernel(
    types.void(
        ADDRESSES, I64, I64, F32_2D_READ, F32_READ, types.Array(from_dtype(CHOICE), 1, "C"),
        F32_2D, types.Array(types.int32, 2, "C"), F32_2D, I64_1D, I64_1D, I64_1D, I64_1D, F32_2D, I64,
    )
)  # fmt: skip
def _route(micro, x, pitch, w, bias, choice, p, ids, weights, order, active, first, num_active, scores, tokens):
    """`route` for the first `tokens` rows. p f32[T, E]: room for probabilities."""
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
            _choose(micro, bias, choice[0], p[t], scores[t], ids[t], weights[t])
    else:
        for t in prange(tokens):
            _choose(micro, bias, choice[0], p[t], scores[t], ids[t], weights[t])
    num_active[0] = _sort(ids[:tokens], num_experts, order, active, first)


@leaf
def _score(micro, x, pitch, w, p, tokens, begin, end, out):
    """Logits of experts begin..end-1 for all tokens into p, in tiles of up to 4 tokens x 4 experts."""
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
                    p[t + i, e + j] = out[i * n + j]
            e += n
        t += m


@leaf
def _choose(micro, bias, choice, probability, score, ids, weights):
    """One token: probability f32[E] holds its logits; score f32[E], ids i32[k] and weights f32[k] come out.

    A logit or a bias that is no number makes all weights NaN: an expert that is never chosen for it would go unnoticed.
    """
    num_experts = len(bias)
    zero = np.float32(0)
    for e in range(num_experts):
        zero += (probability[e] + bias[e]) * np.float32(0)
    call(micro[SIGMOID], (address(probability), address(probability), num_experts))
    for e in range(num_experts):
        score[e] = probability[e] + bias[e]
    kept = score
    if choice.n_group > 1:
        kept = score.copy()
        _keep_groups(kept, choice.n_group, choice.topk_group)
    taken = np.zeros(num_experts, np.uint8)
    for _ in range(choice.top_k):
        taken[_best(kept, taken)] = 1
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


def experts_gate_up(
    e: Experts,
    a: Activation,
    dispatch: Dispatch,
    hidden: Activation,
    which: np.ndarray | StepArg | None = None,
    shared: SharedExpert | None = None,
    rows: Rows = None,
) -> Call:
    """Rows of hidden [T * k, I], sorted by expert = silu(gate a) * (up a), quantised too; 1 region.

    which i64[n]: of the experts at these places of dispatch.active, in any order; None: of all. The shared expert, if
    there is one, computes its own rows as well.
    """
    tokens, top_k = dispatch.ids.shape
    check_rows(hidden.x, tokens * top_k, e.rows)
    int8 = a.q is not None
    jobs = [
        (*job_weights(kind, e.cols, int8, offset, e.rows), *operand(a, kind), 0, 0)
        for kind, offset in zip(e.kinds[:2], (e.gate_offset, e.up_offset), strict=True)
    ]
    outs = [output(hidden)]
    if shared is not None:
        inner = shared.hidden.rows(tokens)
        jobs += job(shared.gate, a, inner.x), job(shared.up, a, inner.x)
        outs.append(output(inner))
    sorted_rows = dispatch.order, dispatch.active, dispatch.first, dispatch.num_active
    where = np.zeros(0, np.int64) if which is None else which
    fixed = runtime.context(), np.array(jobs, JOB), e.address, np.concatenate(outs), top_k, *sorted_rows
    return Call(_experts_gate_up, (*fixed, which is None, where), rows, tokens)


def experts_down(
    e: Experts,
    hidden: Activation,
    dispatch: Dispatch,
    out: np.ndarray,
    begin: int | StepArg = 0,
    end: int | StepArg | None = None,
    add: bool = True,
    shared: SharedExpert | None = None,
    rows: Rows = None,
) -> Call:
    """out f32[T, P] (+)= sum over the experts at places begin..end-1 of dispatch.active of weight * (down hidden).

    In ascending expert id; what the shared expert gives is added last. 1 region. end: by default the list's.
    """
    tokens, _ = dispatch.ids.shape
    check_rows(out, tokens, e.cols)
    kind = e.kinds[2]
    weights = job_weights(kind, e.rows, hidden.q is not None, e.down_offset, e.cols)
    jobs = [(*weights, *operand(hidden, kind), out.ctypes.data, out.strides[0])]
    if shared is not None:
        jobs.append(job(shared.down, shared.hidden.rows(tokens), out))
    sorted_rows = dispatch.order, dispatch.active, dispatch.first, dispatch.num_active
    places = begin, len(e.address) if end is None else end
    fixed = runtime.context(), np.array(jobs, JOB), e.address, dispatch.weights, *sorted_rows
    return Call(_experts_down, (*fixed, *places, add), rows, tokens)


@kernel(
    types.void(
        ADDRESSES, JOBS, I64_1D, OUTS, I64, I64_1D, I64_1D, I64_1D, I64_1D,
        types.boolean, types.Array(I64, 1, "C", readonly=True), I64,
    )
)  # fmt: skip
def _experts_gate_up(
    micro, jobs, addresses, hidden, top_k, all_rows, active, first, num_active, all_active, which, tokens
):
    """jobs JOB[2 or 4], hidden ROWS_OUT[1 or 2]: the routed experts', then the shared one's, whose tasks come first."""
    workers, order = micro[WORKERS], all_rows[: tokens * top_k]
    gate_table = np.empty((len(order), 2), np.int64)
    _fill_sorted(gate_table, jobs[0], order, top_k)
    up_table = gate_table
    if jobs[1].x != jobs[0].x:
        up_table = np.empty((len(order), 2), np.int64)
        _fill_sorted(up_table, jobs[1], order, top_k)
    groups = (jobs[0].rows + GROUP - 1) // GROUP
    share = len(order) // num_active[0]  # tokens of an expert, on average
    count = num_active[0] if all_active else len(which)
    edges = task_edges(micro, groups * count, 4 * jobs[0].block_bytes, 1, share)
    shared = jobs[2:]
    inputs = np.empty((len(shared), tokens, 2), np.int64)
    for j in range(len(shared)):
        fill_table(inputs[j], shared[j].x, shared[j].x_pitch, shared[j].s, shared[j].s_pitch)
    shared_edges = np.zeros(1, np.int64)
    if len(shared):
        shared_groups = (shared[0].rows + GROUP - 1) // GROUP
        shared_edges = task_edges(micro, shared_groups, 4 * shared[0].block_bytes, 1, tokens)
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        buffer = np.empty((2, 2 * MAX_GROUPS, TILE, ROWS), np.float32)
        moved = jobs[:2].copy()
        while True:
            task = take_task(micro, counter)
            if task < len(shared_edges) - 1:
                begin, end = shared_edges[task], shared_edges[task + 1]
                gate_up_groups(micro, shared[0], shared[1], inputs[0], inputs[1], hidden[1], 0, begin, end, buffer)
                continue
            task -= len(shared_edges) - 1
            if task >= len(edges) - 1:
                break
            for i in range(edges[task] // groups, (edges[task + 1] - 1) // groups + 1):
                a = i if all_active else which[i]
                for j in range(2):
                    moved[j].weights = jobs[j].weights + addresses[active[a]]
                rows, up_rows = gate_table[first[a] : first[a + 1]], up_table[first[a] : first[a + 1]]
                begin, end = max(edges[task] - i * groups, 0), min(edges[task + 1] - i * groups, groups)
                gate_up_groups(micro, moved[0], moved[1], rows, up_rows, hidden[0], first[a], begin, end, buffer)


@kernel(
    types.void(
        ADDRESSES, JOBS, I64_1D, F32_2D_READ, I64_1D, I64_1D, I64_1D, I64_1D, I64, I64, types.boolean, I64,
    )
)  # fmt: skip
def _experts_down(
    micro, jobs, addresses, all_weights, all_rows, active, first, num_active, first_place, last_place, add, tokens
):
    """jobs JOB[1 or 2]: the routed experts', then the shared one's if there is one."""
    workers, weights = micro[WORKERS], all_weights[:tokens]
    order = all_rows[: weights.size]
    stop = min(last_place, num_active[0])
    inner = np.empty((len(order), 2), np.int64)
    fill_table(inner, jobs[0].x, jobs[0].x_pitch, jobs[0].s, jobs[0].s_pitch)
    targets, factors = np.empty(len(order), np.int64), np.empty(len(order), np.float32)
    for i in range(len(order)):
        token, choice = order[i] // weights.shape[1], order[i] % weights.shape[1]
        targets[i], factors[i] = jobs[0].out + token * jobs[0].out_pitch, weights[token, choice]
    shared = jobs[1:]
    inputs = np.empty((len(shared), tokens, 2), np.int64)
    for j in range(len(shared)):
        fill_table(inputs[j], shared[j].x, shared[j].x_pitch, shared[j].s, shared[j].s_pitch)
    blocks = (jobs[0].rows + ROWS - 1) // ROWS
    share = len(order) // num_active[0]  # tokens of an expert, on average
    edges = task_edges(micro, blocks, jobs[0].block_bytes, micro[BLOCKS_PER_TASK], share)
    counter = np.zeros(1, np.int64)
    for _ in prange(workers):
        buffer = np.empty((2, TILE, ROWS), np.float32)
        moved = jobs[:1].copy()
        while True:
            task = take_task(micro, counter)
            if task >= len(edges) - 1:
                break
            begin, end = edges[task], edges[task + 1]
            if not add:
                target, count = jobs[0].out + begin * ROWS * 4, min(end * ROWS, jobs[0].rows) - begin * ROWS
                call(micro[CLEAR], (target, jobs[0].out_pitch, tokens, count))
            for a in range(first_place, stop):
                if is_stopped(micro):
                    break
                following = jobs[0].weights + addresses[active[min(a + 1, stop - 1)]]
                call(micro[PREFETCH], (following + begin * jobs[0].block_bytes, micro[PREFETCH_BYTES]))
                moved[0].weights = jobs[0].weights + addresses[active[a]]
                rows = slice(first[a], first[a + 1])
                _down(micro, moved[0], inner[rows], targets[rows], factors[rows], begin, end, buffer)
            if len(shared):
                linear_blocks(micro, shared[0], inputs[0], begin, end, ADD, buffer)


@leaf
def _fill_sorted(table, w, order, top_k):
    """Addresses of a job's inputs, of the tokens of sorted rows (token, choice), table i64[T * k, 2]."""
    for i in range(len(table)):
        table[i, 0] = w.x + order[i] // top_k * w.x_pitch
        table[i, 1] = w.s + order[i] // top_k * w.s_pitch


@leaf
def _sort(ids, num_experts, order, active, first):
    """Rows t * k + i sorted by expert and then by token, experts that occur, where their rows begin; how many occur."""
    tokens, top_k = ids.shape
    begin = np.zeros(num_experts + 1, np.int64)
    for t in range(tokens):
        for i in range(top_k):
            begin[ids[t, i] + 1] += 1
    for e in range(num_experts):
        begin[e + 1] += begin[e]
    occurring = 0
    for e in range(num_experts):
        if begin[e + 1] > begin[e]:
            active[occurring], first[occurring] = e, begin[e]
            occurring += 1
    first[occurring] = begin[num_experts]
    for t in range(tokens):
        for i in range(top_k):
            order[begin[ids[t, i]]] = t * top_k + i
            begin[ids[t, i]] += 1
    return occurring


@leaf
def _down(micro, w, table, targets, factors, begin, end, buffer):
    """f32 rows at targets[i] += factors[i] * (row blocks begin..end-1 of one expert's down matrix) of the table's."""
    tokens = len(table)
    block = begin
    while block < end:
        blocks = blocks_of_tile(w, end - block, tokens)
        t = 0
        while t < tokens:
            size = tile_size(w, blocks, tokens - t)
            run_tile(micro, w, block, blocks, table, t, size, address(buffer))
            places = address(targets) + 8 * t, address(factors) + 4 * t
            for i in range(blocks):
                row, source = (block + i) * ROWS, address(buffer) + i * size * ROWS * 4
                call(micro[ADD_WEIGHTED], (source, *places, row * 4, size, min(ROWS, w.rows - row)))
            t += size
        block += blocks
