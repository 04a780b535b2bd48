"""Write the saved pages of five classic experiments: ``python docs/gallery.py [FOLDER]``."""

import sys
from pathlib import Path
from typing import Any

import momentumlab

PAGES: dict[str, dict[str, Any]] = {
    "ravine": {"source": "configs/ravine_beta_sweep.yaml"},
    "rosenbrock": {
        "surface": "rosenbrock",
        "optimizer": ["momentum", "adam"],
        "lr": 1e-3,
        "iterations": 300,
        "name": "rosenbrock",
    },
    "himmelblau": {
        "surface": "himmelblau",
        "optimizer": "momentum",
        "lr": 0.01,
        "beta": [0, 0.5, 0.9],
        "start": "grid(3, 3)",
        "iterations": 80,
        "name": "himmelblau",
    },
    "noise": {"source": "configs/noisy_ravine.yaml"},
    "optimizers": {"source": "configs/optimizer_comparison.yaml"},
}


def main() -> None:
    """Write all pages."""
    root = Path(__file__).parent.parent
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "gallery")
    folder.mkdir(exist_ok=True)
    for name, settings in PAGES.items():
        own = dict(settings)
        source = root / own.pop("source") if "source" in own else None
        page = momentumlab.explore(source, save=folder / f"{name}.html", **own)
        print(f"{folder / name}.html: {len(page.html.encode()) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
