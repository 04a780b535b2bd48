"""A GIF of 100 frames of 800 × 500 pixels: ours beside matplotlib.animation, with the same panels and lines.

Usage: python benchmarks/animation.py [REPEATS]

Both draw six optimizers over one contour and their losses, in one process and in turn, after one round that does not
count. Times are medians; the ratio is what matters on a busy machine.
"""

import io
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.animation import FuncAnimation, PillowWriter

import momentumlab
from momentumlab.report import report_of
from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import animation, style

CONFIG = Path(__file__).parent.parent / "configs" / "optimizer_comparison.yaml"
FRAMES = 100


def ours(result: momentumlab.Result) -> int:
    """Write the animation and return its size."""
    file = io.BytesIO()
    animation.write_animation(report_of(result), file)
    return file.tell()


def matplotlibs(result: momentumlab.Result) -> int:
    """Draw the same background and lines with `FuncAnimation`, and return the size of the GIF."""
    options = FigureOptions(size=animation.SIZE, panels="one")
    with style.styled(options), tempfile.TemporaryDirectory() as folder:
        canvas, pens, counter = animation._background(report_of(result), options)
        lines = []
        for pen in pens:
            data = pen.panel.transData.inverted().transform(pen.points)
            (line,) = pen.panel.plot([], [], color=pen.color, linewidth=pen.width)
            lines.append((line, data))

        def update(frame: int) -> list[object]:
            for line, data in lines:
                line.set_data(*data[: frame + 1].T)
            counter.set_text(f"iteration {frame}")
            return [line for line, _ in lines]

        path = Path(folder) / "animation.gif"
        FuncAnimation(canvas.figure, update, frames=FRAMES, blit=False).save(path, writer=PillowWriter(fps=20))
        return path.stat().st_size


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    result = momentumlab.run(CONFIG, iterations=FRAMES - 1)
    makers: dict[str, Callable[[momentumlab.Result], int]] = {"momentumlab": ours, "matplotlib": matplotlibs}
    times: dict[str, list[float]] = {name: [] for name in makers}
    sizes = {}
    for _ in range(repeats + 1):
        for name, make in makers.items():
            clock = time.perf_counter()
            sizes[name] = make(result)
            times[name].append(time.perf_counter() - clock)
    medians = {name: statistics.median(each[1:]) for name, each in times.items()}
    for name, median in medians.items():
        print(f"{name:12} {median:6.2f} s  {sizes[name] / 1e6:5.2f} MB")
    print(f"ratio        {medians['matplotlib'] / medians['momentumlab']:6.1f}")
    assert np.isfinite(list(medians.values())).all()


if __name__ == "__main__":
    main()
