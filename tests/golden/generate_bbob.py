"""Write reference values of the BBOB functions with coco-experiment 2.8.2: ``python -m tests.golden.generate_bbob``."""

import json
from pathlib import Path

import numpy as np

from momentumlab.parameters import Array

DIMENSIONS = (2, 5, 20)
INSTANCES = (1, 2, 3)


def points(dim: int) -> Array:
    """Return the points at which the functions are compared, ``(dim, 4)``: inside the box, outside it, and zero."""
    inside, outside = np.random.default_rng(dim).uniform(-1, 1, size=(2, dim, 2)).round(3)
    return np.concatenate([5 * inside, 8 * outside[:, :1], np.zeros((dim, 1))], axis=1)


def main() -> None:
    """Write the values."""
    import cocoex  # type: ignore[import-not-found]

    instances = ",".join(map(str, INSTANCES))
    suite = cocoex.Suite("bbob", "", f"dimensions:{','.join(map(str, DIMENSIONS))} instance_indices:{instances}")
    values = {
        f"f{number} i{instance} d{dim}": [float(problem(point)) for point in points(dim).T]
        for problem in suite
        for number, dim, instance in [problem.id_triple]
    }
    path = Path(__file__).with_name("bbob.json")
    path.write_text(json.dumps(values, indent=0) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
