"""How far compiled kernels and NumPy differ after one iteration, by the functions that a surface or an optimizer uses.

Usage: python benchmarks/ulps.py [TRIALS]

Differences of the loss and of the new point are in units in the last place (ulp) of the larger number; those of losses
are relative to the largest loss of each surface divided by 10⁶ if they are smaller, since the sum of large terms that
cancel has no correct digits. Needs numba.
"""

import sys
from collections import defaultdict

import numpy as np

import momentumlab
from momentumlab import engine
from momentumlab.kernels.dispatch import kernels_for
from momentumlab.kernels.graph import in_order
from momentumlab.kernels.recording import record
from momentumlab.kernels.tracer import UntraceableError
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.plan import make_plan
from momentumlab.surfaces import SURFACES

ROUNDED_ALIKE = {"add", "subtract", "multiply", "divide", "negative", "sqrt", "absolute", "where", "floor"}
SMALL = 1e-6


def functions_of(surface: str, optimizer: str) -> set[str]:
    """Return the NumPy functions in the recorded iteration that are not rounded correctly."""
    experiment = momentumlab.load({"surface": surface, "optimizer": optimizer})
    recording = record(make_plan(experiment).groups[0], experiment)
    nodes = in_order([*recording.start.slots.values(), *recording.next.slots.values()])
    used = {node.operation.evaluate.__name__ for node in nodes if node.operation and not node.operation.is_test}
    return used - ROUNDED_ALIKE


def difference(surface: str, optimizer: str, trials: int) -> tuple[float, float]:
    """Return the largest difference of final losses and of final points after one iteration, in ulp."""
    settings = {"surface": surface, "optimizer": optimizer, "start": f"random({trials}, seed=1)", "iterations": 1}
    results = []
    for backend in ("numpy", "numba"):
        plan = make_plan(momentumlab.load(settings, backend=backend))
        kernels = kernels_for(plan)
        results.append(engine.run(plan, history=False))
        if kernels is not None:
            (outcome,) = kernels.run_blocks([(0, trials)], 1)
            results[-1] = outcome.result(plan)
    return tuple(ulps(*(getattr(result, name) for result in results)) for name in ("final_losses", "final_points"))


def ulps(expected: np.ndarray, found: np.ndarray) -> float:
    with np.errstate(all="ignore"):
        size = np.maximum(np.abs(expected), np.abs(found))
        size = np.maximum(size, SMALL * size[np.isfinite(size)].max(initial=0.0))
        distance = np.abs(expected - found) / np.spacing(size)
    return float(np.nanmax(distance, initial=0.0))


def main() -> None:
    trials = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    pairs = [(name, "sgd") for name in SURFACES if SURFACES[name].is_formula]
    pairs += [("rosenbrock", name) for name in OPTIMIZERS]
    found: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for surface, optimizer in pairs:
        try:
            names = functions_of(surface, optimizer)
        except UntraceableError:
            continue
        entry = (*difference(surface, optimizer, trials), surface if optimizer == "sgd" else optimizer)
        found[", ".join(sorted(names)) or "only + − × ÷ √"].append(entry)
    print(f"{'functions':48} {'pairs':>5} {'loss':>8} {'point':>8}   largest at")
    for names in sorted(found, key=lambda each: (len(each.split(", ")), each)):
        losses, points, _ = zip(*found[names], strict=True)
        worst = max(found[names], key=lambda entry: max(entry[:2]))[2]
        print(f"{names:48} {len(losses):5} {max(losses):8.3g} {max(points):8.3g}   {worst}")


if __name__ == "__main__":
    main()
