"""Draw the figures of README and docs: ``python docs/images.py``."""

import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).parent.parent
IMAGES = ROOT / "docs" / "images"
WIDTH = 900
"""Figures of the zoo are scaled to this width in pixels."""

COMMANDS = {
    "ravine": ["run", "configs/ravine_beta_sweep.yaml"],
    "comparison": ["compare", "--optimizers", "sgd,momentum,nesterov,adam", "--iterations", "60"],
    "atlas": ["sweep", "configs/ravine_atlas.yaml", "--theory"],
    "noisy": ["run", "configs/noisy_ravine.yaml", "--theory"],
    "schedules": ["run", "configs/beta_warmup.yaml"],
    "overlay": ["run", "configs/optimizer_comparison.yaml", "--panels", "one", "--size", "16:9"],
}
FIGURES = {
    "ravine_velocity": ("ravine", "velocity"),
    "comparison_trajectory": ("comparison", "trajectory"),
    "ravine_atlas": ("atlas", "map_iterations"),
    "noisy_ravine": ("noisy", "loss"),
    "schedules_velocity": ("schedules", "velocity"),
    "overlay": ("overlay", "trajectory"),
}
ANIMATION = [
    "run",
    "configs/ravine_beta_sweep.yaml",
    "--iterations",
    "40",
    "--no-plots",
    "--panels",
    "one",
    "--size",
    "6x3.6",
    "--fps",
    "15",
]
ZOO = {
    "adam_uphill": "trajectory",
    "beta_too_high": "velocity",
    "cubic_escape": "trajectory",
    "heavy_ball_cycle": "trajectory",
    "restart": "loss",
    "saddle_axis": "trajectory",
    "stability_limit": "loss",
    "transient_growth": "loss",
}


def momentumlab(*arguments: str) -> None:
    """Run a command."""
    subprocess.run([sys.executable, "-m", "momentumlab", *arguments], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)


def drawn(out: Path, *command: str) -> Path:
    """Return the run folder of a command."""
    momentumlab(*command, "--out", str(out))
    return (out / "latest").resolve()


def save(figure: Path, name: str, width: int | None = None) -> None:
    """Save a figure as an image of the documentation."""
    picture = Image.open(figure).convert("RGB")
    if width is not None and picture.width > width:
        picture = picture.resize((width, round(picture.height * width / picture.width)), Image.Resampling.LANCZOS)
    picture.save(IMAGES / f"{name}.png", optimize=True)


with tempfile.TemporaryDirectory() as temporary:
    folder = Path(temporary)
    runs = {name: drawn(folder / name, *command) for name, command in COMMANDS.items()}
    for image, (run, figure) in FIGURES.items():
        save(runs[run] / f"{figure}.png", image)
    for name, figure in ZOO.items():
        save(drawn(folder / name, "run", f"configs/zoo/{name}.yaml") / f"{figure}.png", f"zoo_{name}", WIDTH)
    drawn(folder / "animation", *ANIMATION, "--animate", str(IMAGES / "ravine_race.gif"))
    response = folder / "response.png"
    betas = ("--beta", "0,0.5,0.9,0.99")
    momentumlab("show", "optimizer", "momentum", "--response", *betas, "--out", str(response))
    save(response, "momentum_response", WIDTH)
