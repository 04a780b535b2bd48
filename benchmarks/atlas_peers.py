"""The plane of `atlas.py` in other tools, each written for just this problem.

Usage: python benchmarks/atlas_peers.py PEER PROBLEM SIDE

Prints one line of JSON: seconds of only the computation (once compiled, where something is compiled), and the updates
that were made. A peer whose library is not installed ends with exit code 3.
"""

import json
import math
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from atlas import ITERATIONS, PROBLEMS, TOLERANCE, Problem

Run = Callable[[Problem, np.ndarray, np.ndarray], np.ndarray]
"""(problem, lr, beta) -> iterations; all flat, one entry per trial."""


def plain_python(problem: Problem, lrs: np.ndarray, betas: np.ndarray) -> np.ndarray:
    """A loop per trial over Python floats."""
    made = np.empty(len(lrs), dtype=np.int64)
    for i, (lr, beta) in enumerate(zip(lrs.tolist(), betas.tolist(), strict=True)):
        x, y = problem.start
        v = w = m1 = m2 = s1 = s2 = 0.0
        p1 = p2 = 1.0
        loss = problem.value(x, y)
        iteration = 0
        while iteration < ITERATIONS:
            gx, gy = problem.gradient(x, y)
            if problem.adam:
                m1, m2 = beta * m1 + (1 - beta) * gx, beta * m2 + (1 - beta) * gy
                s1, s2 = 0.999 * s1 + 0.001 * gx * gx, 0.999 * s2 + 0.001 * gy * gy
                p1, p2 = p1 * beta, p2 * 0.999
                v = m1 / (1 - p1) / (math.sqrt(s1 / (1 - p2)) + 1e-8)
                w = m2 / (1 - p1) / (math.sqrt(s2 / (1 - p2)) + 1e-8)
            else:
                v, w = beta * v + gx, beta * w + gy
            x, y = x - lr * v, y - lr * w
            previous, loss = loss, problem.value(x, y)
            iteration += 1
            if not (abs(x) <= 1e16 and abs(y) <= 1e16 and abs(loss) <= 1e100) or abs(loss - previous) <= TOLERANCE:
                break
        made[i] = iteration
    return made


def numba_kernel() -> Run:
    """The same loop, compiled, over all cores."""
    import numba

    compiled: dict[str, Any] = {}

    def run(problem: Problem, lrs: np.ndarray, betas: np.ndarray) -> np.ndarray:
        if problem.name not in compiled:
            value, gradient = numba.njit(problem.value), numba.njit(problem.gradient)
            x0, y0 = problem.start
            adam = problem.adam

            @numba.njit(parallel=True)
            def kernel(lrs: np.ndarray, betas: np.ndarray) -> np.ndarray:
                made = np.empty(len(lrs), dtype=np.int64)
                for i in numba.prange(len(lrs)):
                    lr, beta = lrs[i], betas[i]
                    x, y = x0, y0
                    v = w = m1 = m2 = s1 = s2 = 0.0
                    p1 = p2 = 1.0
                    loss = value(x, y)
                    iteration = 0
                    while iteration < ITERATIONS:
                        gx, gy = gradient(x, y)
                        if adam:
                            m1, m2 = beta * m1 + (1 - beta) * gx, beta * m2 + (1 - beta) * gy
                            s1, s2 = 0.999 * s1 + 0.001 * gx * gx, 0.999 * s2 + 0.001 * gy * gy
                            p1, p2 = p1 * beta, p2 * 0.999
                            v = m1 / (1 - p1) / (math.sqrt(s1 / (1 - p2)) + 1e-8)
                            w = m2 / (1 - p1) / (math.sqrt(s2 / (1 - p2)) + 1e-8)
                        else:
                            v, w = beta * v + gx, beta * w + gy
                        x, y = x - lr * v, y - lr * w
                        previous, loss = loss, value(x, y)
                        iteration += 1
                        inside = abs(x) <= 1e16 and abs(y) <= 1e16 and abs(loss) <= 1e100
                        if not inside or abs(loss - previous) <= TOLERANCE:
                            break
                    made[i] = iteration
                return made

            compiled[problem.name] = kernel
        result: np.ndarray = compiled[problem.name](lrs, betas)
        return result

    return run


def jax_while() -> Run:
    """``vmap`` of a ``while_loop``: all trials continue until the last one has ended."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def run(problem: Problem, lrs: np.ndarray, betas: np.ndarray) -> np.ndarray:
        def trial(lr: Any, beta: Any) -> Any:
            def going(state: Any) -> Any:
                x, y, *_, loss, previous, iteration = state
                inside = (abs(x) <= 1e16) & (abs(y) <= 1e16) & (abs(loss) <= 1e100)
                return (iteration < ITERATIONS) & inside & (abs(loss - previous) > TOLERANCE)

            def step(state: Any) -> Any:
                x, y, v, w, m1, m2, s1, s2, p1, p2, loss, _, iteration = state
                gx, gy = problem.gradient(x, y)
                if problem.adam:
                    m1, m2 = beta * m1 + (1 - beta) * gx, beta * m2 + (1 - beta) * gy
                    s1, s2 = 0.999 * s1 + 0.001 * gx * gx, 0.999 * s2 + 0.001 * gy * gy
                    p1, p2 = p1 * beta, p2 * 0.999
                    v = m1 / (1 - p1) / (jnp.sqrt(s1 / (1 - p2)) + 1e-8)
                    w = m2 / (1 - p1) / (jnp.sqrt(s2 / (1 - p2)) + 1e-8)
                else:
                    v, w = beta * v + gx, beta * w + gy
                x, y = x - lr * v, y - lr * w
                return x, y, v, w, m1, m2, s1, s2, p1, p2, problem.value(x, y), loss, iteration + 1

            zero, one = jnp.zeros(()), jnp.ones(())
            x, y = (jnp.asarray(c) for c in problem.start)
            first = (x, y, *[zero] * 6, one, one, problem.value(x, y), jnp.asarray(jnp.inf), jnp.asarray(0))
            return jax.lax.while_loop(going, step, first)[-1]

        kernel = compiled.setdefault(problem.name, jax.jit(jax.vmap(trial)))
        return np.asarray(kernel(lrs, betas))

    compiled: dict[str, Any] = {}
    return run


def torch_lanes() -> Run:
    """Tensors with a lane dimension; finished trials are removed every tenth iteration."""
    import torch

    def run(problem: Problem, lrs: np.ndarray, betas: np.ndarray) -> np.ndarray:
        lr, beta = torch.from_numpy(lrs.copy()), torch.from_numpy(betas.copy())
        number = torch.arange(len(lrs))
        made = torch.full((len(lrs),), ITERATIONS)
        x, y = (torch.full_like(lr, c) for c in problem.start)
        v, w, m1, m2, s1, s2 = (torch.zeros_like(lr) for _ in range(6))
        p1, p2 = torch.ones_like(lr), torch.ones_like(lr)
        running = torch.ones(len(lrs), dtype=torch.bool)
        loss = problem.value(x, y)
        for iteration in range(1, ITERATIONS + 1):
            gx, gy = problem.gradient(x, y)
            if problem.adam:
                m1, m2 = beta * m1 + (1 - beta) * gx, beta * m2 + (1 - beta) * gy
                s1, s2 = 0.999 * s1 + 0.001 * gx * gx, 0.999 * s2 + 0.001 * gy * gy
                p1, p2 = p1 * beta, p2 * 0.999
                v = m1 / (1 - p1) / (torch.sqrt(s1 / (1 - p2)) + 1e-8)
                w = m2 / (1 - p1) / (torch.sqrt(s2 / (1 - p2)) + 1e-8)
            else:
                v, w = beta * v + gx, beta * w + gy
            x, y = x - lr * v, y - lr * w
            previous, loss = loss, problem.value(x, y)
            inside = (x.abs() <= 1e16) & (y.abs() <= 1e16) & (loss.abs() <= 1e100)
            ended = running & (~inside | ((loss - previous).abs() <= TOLERANCE))
            made[number[ended]] = iteration
            running &= ~ended
            if iteration % 10 == 0 and running.sum() < 0.9 * len(running):
                state = [lr, beta, number, x, y, v, w, m1, m2, s1, s2, p1, p2, loss]
                lr, beta, number, x, y, v, w, m1, m2, s1, s2, p1, p2, loss = (each[running] for each in state)
                running = running[running]
                if not len(running):
                    break
        return made.numpy()

    return run


def torch_optimizer() -> Run:
    """A ``torch.optim`` optimizer per trial, as a person would write it."""
    import torch

    def run(problem: Problem, lrs: np.ndarray, betas: np.ndarray) -> np.ndarray:
        made = np.empty(len(lrs), dtype=np.int64)
        for i, (lr, beta) in enumerate(zip(lrs.tolist(), betas.tolist(), strict=True)):
            point = torch.tensor(problem.start, dtype=torch.float64, requires_grad=True)
            adam = torch.optim.Adam([point], lr=lr, betas=(beta, 0.999))
            optimizer = adam if problem.adam else torch.optim.SGD([point], lr=lr, momentum=beta)
            previous = math.inf
            for iteration in range(ITERATIONS + 1):
                optimizer.zero_grad()
                loss = problem.value(point[0], point[1])
                made[i] = iteration
                if iteration == ITERATIONS or not abs(loss.item()) <= 1e32 or abs(loss.item() - previous) <= TOLERANCE:
                    break
                previous = loss.item()
                loss.backward()
                optimizer.step()
        return made

    return run


PEERS: dict[str, tuple[Callable[[], Run], int, bool]] = {
    # how it is made; on every how many-th trial of each axis it is measured; whether it is compiled first
    "plain Python loop": (lambda: plain_python, 40, False),
    "numba prange": (numba_kernel, 1, True),
    "JAX vmap(while_loop)": (jax_while, 1, True),
    "PyTorch tensors": (torch_lanes, 1, False),
    "PyTorch optimizer per trial": (torch_optimizer, 200, False),
}


def main() -> None:
    name, problem_name, side = sys.argv[1], sys.argv[2], int(sys.argv[3])
    make, every, is_compiled = PEERS[name]
    problem = PROBLEMS[problem_name]
    try:
        run = make()
    except ImportError as error:
        print(error, file=sys.stderr)
        sys.exit(3)
    lrs, betas = (mesh.ravel() for mesh in np.meshgrid(problem.lrs(side)[::every], problem.betas(side)[::every]))
    with np.errstate(all="ignore"):
        if is_compiled:
            run(problem, lrs[:64], betas[:64])
            if name.startswith("JAX"):  # which compiles for each shape
                run(problem, lrs, betas)
        clock = time.perf_counter()
        made = run(problem, lrs, betas)
        seconds = time.perf_counter() - clock
    print(json.dumps({"seconds": seconds, "updates": int(made.sum()), "share": len(lrs) / side**2}))


if __name__ == "__main__":
    main()
