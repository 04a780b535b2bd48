"""How far compiled kernels and NumPy differ after one iteration, by the functions that a surface or an optimizer uses.

Usage: python benchmarks/ulps.py [TRIALS]

Compared are the loss at random starts and the point after one iteration from there, in units in the last place (ulp) of
the larger number, or of 10⁻⁶ times the largest number of the surface if that is larger: sums of terms that cancel have
fewer correct digits. Needs numba.
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
    """Return the largest difference of losses at the start and of points after one iteration, in ulp."""
    found = []
    for iterations, name in ((0, "final_losses"), (1, "final_points")):
        settings = {"surface": surface, "optimizer": optimizer, "start": f"random({trials}, seed=1)"}
        plan = make_plan(momentumlab.load(settings, iterations=iterations, backend="numba"))
        kernels = kernels_for(plan)
        assert kernels is not None
        (outcome,) = kernels.run_blocks([(0, trials)], 1)
        results = (engine.run(plan, history=False), outcome.result(plan))
        found.append(ulps(*(getattr(result, name) for result in results)))
    return found[0], found[1]


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
