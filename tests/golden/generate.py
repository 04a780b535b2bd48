"""Record the golden trajectories with PyTorch and optax.

Usage, from the repository, with the extra ``[parity]`` installed: python -m tests.golden.generate
"""

from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.golden.cases import CASES, ITERATIONS, KEPT, SURFACES
from tests.golden.references import reference_path

ARCHIVE = Path(__file__).parent / "trajectories.npz"

Vector = NDArray[np.float64]


def problem(surface: str) -> tuple[object, object]:
    """Loss and gradient, written out here and not taken from the package."""
    if surface == "ravine":
        return (
            lambda x: float(x[0] ** 2 / 16 + 9 * x[1] ** 2),
            lambda x: np.array([x[0] / 8, 18 * x[1]]),
        )
    if surface == "rosenbrock":
        return (
            lambda x: float(100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2),
            lambda x: np.array([-400 * x[0] * (x[1] - x[0] ** 2) - 2 * (1 - x[0]), 200 * (x[1] - x[0] ** 2)]),
        )
    chosen = SURFACES["quadratic"]["surface"]
    cosine, sine = np.cos(np.radians(chosen["rotation"])), np.sin(np.radians(chosen["rotation"]))
    dim = len(chosen["eigenvalues"])
    turn = np.eye(dim)
    for i in range(dim - 1):
        plane = np.eye(dim)
        plane[i : i + 2, i : i + 2] = [[cosine, -sine], [sine, cosine]]
        turn = turn @ plane
    hessian = turn @ np.diag(chosen["eigenvalues"]) @ turn.T
    return lambda x: float(x @ hessian @ x / 2), lambda x: hessian @ x


def main() -> None:
    paths: dict[str, Vector] = {}
    for case in CASES:
        for surface, settings in SURFACES.items():
            loss, gradient = problem(surface)
            start = np.array(settings["start"])
            path = reference_path(case.library, case.optimizer, case.hyper, gradient, loss, start, ITERATIONS)  # type: ignore[arg-type]
            paths[case.key(surface)] = path[KEPT]
    versions = {library: version(library) for library in ("torch", "optax", "jax", "numpy")}
    np.savez_compressed(ARCHIVE, versions=np.array([f"{name} {number}" for name, number in versions.items()]), **paths)  # type: ignore[arg-type]
    print(f"{len(paths)} paths, {ARCHIVE.stat().st_size:,} bytes, {versions}")


if __name__ == "__main__":
    main()
