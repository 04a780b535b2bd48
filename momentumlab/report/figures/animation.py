"""Animations of all trajectories over one contour plot, beside their growing loss curves."""

import math
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.markers import MarkerStyle
from matplotlib.path import Path as LinePath
from matplotlib.text import Text
from matplotlib.transforms import Affine2D, IdentityTransform
from numpy.typing import NDArray
from PIL import Image

from momentumlab.errors import MomentumLabError
from momentumlab.parameters import Array
from momentumlab.report.figure_options import FigureError, FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.curves import draw_losses
from momentumlab.report.figures.sheets import Margins, sheet
from momentumlab.report.figures.trajectory import PathPanel, draw_ground, ground_of, panel_of, surfaces_of
from momentumlab.report.figures.trials import select_trials
from momentumlab.report.reports import Report

SIZE = (8.0, 5.0)
DPI = 100

MAX_FRAMES = 100
"""Longer runs are shown at this many iterations, evenly spaced."""

MAX_DOTS = 200
"""Up to this many iterates are marked."""

GHOST = 0.25
"""Opacity of the whole trajectories behind the growing ones, which make every frame meaningful on paper."""

FORMATS = ("gif", "apng", "png", "mp4")

Frame = NDArray[np.uint8]
"""Red, green, blue and opacity, ``(height, width, 4)``."""


@dataclass(frozen=True, kw_only=True)
class Pen:
    """A line that grows from frame to frame, in pixels from the lower left corner.

    Attributes
    ----------
    points
        Its points, ``(entries, 2)``.
    entries
        The iteration of each point.
    """

    panel: Axes
    points: Array
    entries: NDArray[np.int64]
    color: str
    width: float
    has_dots: bool


def write_animation(
    report: Report,
    file: BinaryIO,
    options: FigureOptions | None = None,
    *,
    kind: str = "gif",
    fps: float = 20.0,
    hold_last: float = 2.0,
) -> None:
    """Write an animation of a run.

    Parameters
    ----------
    report
        A report with trajectories.
    file
        Open for writing bytes.
    options
        Options of the figure; the default size is 8 × 5 inches with 100 dots per inch.
    kind
        One of `FORMATS`; ``png`` is an animated PNG as well.
    fps
        Frames per second.
    hold_last
        How long the last frame is shown, in seconds.

    Raises
    ------
    ValueError
        If no trajectories were recorded, or an option does not apply.
    MomentumLabError
        If the format is ``mp4`` and ffmpeg is missing or fails.
    """
    if kind not in FORMATS:
        raise FigureError(f"unknown format '{kind}' of animations; use {', '.join(FORMATS)}")
    if not 0.1 <= fps <= 100:
        raise FigureError(f"{fps:g} frames per second are not between 0.1 and 100")
    if not 0 <= hold_last <= 60:
        raise FigureError(f"the last frame cannot be held for {hold_last:g} seconds; use 0 to 60")
    pictures = list(frames(report, options or FigureOptions()))
    if kind == "mp4":
        _write_video(pictures, file, fps, hold_last)
    else:
        _write_images(pictures, file, kind, fps, hold_last)


def frame_iterations(report: Report) -> list[int]:
    """Return the iteration of each frame, from 0 to the last iteration of the longest trial."""
    last = int(report.result.iterations.max(initial=0))
    shown: list[int] = np.unique(np.linspace(0, last, min(last + 1, MAX_FRAMES)).round().astype(int)).tolist()
    return shown


def frames(report: Report, options: FigureOptions) -> Iterator[Frame]:
    """Yield the frames of an animation.

    The background is drawn once. Each frame adds the new pieces of all lines to it and puts a marker at their ends.
    """
    options = replace(options, size=options.size or SIZE, panels="one")
    iterations = frame_iterations(report)
    with style.styled(options):
        canvas, pens, counter = _background(report, options)
        renderer = canvas.get_renderer()
        canvas.draw()
        drawn = [0] * len(pens)
        for iteration in iterations:
            for number, pen in enumerate(pens):
                reached = int(np.searchsorted(pen.entries, iteration, side="right"))
                _draw_piece(renderer, pen, drawn[number], reached)
                drawn[number] = reached
            # Markers and the counter are drawn over a copy of the lines, which stay for the next frame.
            lines = canvas.copy_from_bbox(canvas.figure.bbox)
            for pen, reached in zip(pens, drawn, strict=True):
                _draw_mark(renderer, pen, pen.points[max(reached - 1, 0)], 7.0, edge="black")
            counter.set_text(f"iteration {iteration:,}")
            counter.draw(renderer)
            yield np.array(canvas.buffer_rgba())
            canvas.restore_region(lines)


def _background(report: Report, options: FigureOptions) -> tuple[Any, list[Pen], Text]:
    """Draw the static background; return the canvas, the lines that will grow, and the text of the counter."""
    result = report.result
    if result.experiment.surface.combinations > 1:
        raise FigureError("the trials have different surfaces, so one contour cannot show them; choose --trials")
    selection = select_trials(report, options)
    shown = selection.trials
    groups = [panel_of(report, one) for one in shown]
    paths = [one for group in groups for one in group.trials]
    ground = ground_of(result, paths, options)
    with sheet(
        2,
        (5.0, 4.0),
        options,
        shape=(1, 2),
        margins=Margins(left=0.8, right=0.2, bottom=0.6, top=0.35, between_columns=0.95),
        title=selection.title,
        curves=[replace(one, line_style="-") for one in shown] if len(shown) > 1 else (),
    ) as page:
        left, right = page.panels
        together = [PathPanel(trials=paths)]
        style.plain_ticks(left)
        draw_ground([left], surfaces_of(result, together), ground)
        left.set_xlabel(ground.names[0])
        left.set_ylabel(ground.names[1])
        draw_losses(right, report, [replace(one, line_style="-") for one in shown], theory=False)
        starts = np.unique([ground.paths[one.number][0] for one in paths], axis=0)
        left.plot(*starts.T, **{**style.START, "zorder": 3.5})
        longest = max(len(path) for path in ground.paths.values())
        curves = [line for line in right.get_lines() if line.get_color() in [one.color for one in shown]]
        for one in paths:
            left.plot(*ground.paths[one.number].T, color=one.color, linewidth=1.0, alpha=GHOST, zorder=3)
        for line in curves:
            line.set_alpha(GHOST)
            line.set_marker("")
        counter = right.set_title("", loc="left")
        counter.set_animated(True)
    page.figure.set_dpi(options.dpi or DPI)
    pens = []
    for one in paths:
        points = left.transData.transform(ground.paths[one.number])
        entries = result.recorded(one.number)[: len(points)]
        has_dots = longest <= MAX_DOTS
        pens.append(Pen(panel=left, points=points, entries=entries, color=one.color, width=1.5, has_dots=has_dots))
    for line in curves:
        xy = np.asarray(line.get_xydata(), dtype=np.float64)
        points = right.transData.transform(xy[np.isfinite(xy).all(axis=1)])
        entries = xy[np.isfinite(xy).all(axis=1), 0].astype(np.int64)
        color: Any = line.get_color()
        pens.append(Pen(panel=right, points=points, entries=entries, color=color, width=1.5, has_dots=False))
    return page.figure.canvas, pens, counter


def _draw_piece(renderer: Any, pen: Pen, first: int, last: int) -> None:
    """Draw a line from its point number ``first - 1`` to ``last - 1``."""
    if last <= first:
        return
    piece = pen.points[max(first - 1, 0) : last]
    graphics = _graphics(renderer, pen)
    if len(piece) > 1:
        renderer.draw_path(graphics, LinePath(np.clip(piece, -1e4, 1e5)), IdentityTransform(), None)
    graphics.restore()
    if pen.has_dots:
        _draw_mark(renderer, pen, pen.points[first:last], 3.0)


def _draw_mark(renderer: Any, pen: Pen, points: Array, size: float, edge: str | None = None) -> None:
    """Draw dots at points."""
    graphics = _graphics(renderer, pen)
    graphics.set_linewidth(renderer.points_to_pixels(0.8 if edge else 0.0))
    graphics.set_foreground(edge or pen.color)
    marker = MarkerStyle("o")
    shape = marker.get_transform() + Affine2D().scale(renderer.points_to_pixels(size))
    places = LinePath(np.clip(np.atleast_2d(points), -1e4, 1e5))
    renderer.draw_markers(graphics, marker.get_path(), shape, places, IdentityTransform(), to_rgb(pen.color))
    graphics.restore()


def _graphics(renderer: Any, pen: Pen) -> Any:
    graphics = renderer.new_gc()
    graphics.set_foreground(pen.color)
    graphics.set_linewidth(renderer.points_to_pixels(pen.width))
    graphics.set_capstyle("round")
    graphics.set_joinstyle("round")
    graphics.set_clip_rectangle(pen.panel.bbox)
    return graphics


def _write_images(pictures: Sequence[Frame], file: BinaryIO, kind: str, fps: float, hold_last: float) -> None:
    """Write a GIF or an animated PNG, with the same palette for all frames."""
    palette = _palette(np.stack([pictures[0], pictures[-1]]))
    # A table from reduced colours to the palette is faster than a search for each pixel.
    steps = (np.arange(32) * 255 / 31).round().astype(np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(32, -1, 3)
    table = np.asarray(Image.fromarray(cube).quantize(palette=palette, dither=Image.Dither.NONE)).ravel()
    images = []
    indices = np.zeros(pictures[0].shape[:2], dtype=np.uint8)
    previous = ~pictures[0].view(np.uint32)[..., 0]
    for picture in pictures:
        pixels = picture.view(np.uint32)[..., 0]
        changed = pixels != previous  # only this part is looked up
        rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
        if len(rows):
            box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
            indices[box] = table[_reduced(picture[box])]
        previous = pixels
        image = Image.fromarray(indices.copy())
        image.putpalette(palette.getpalette() or [])
        images.append(image)
    durations = [1000 / fps] * (len(images) - 1) + [1000 / fps + 1000 * hold_last]
    options: dict[str, Any] = {"optimize": False} if kind == "gif" else {"compress_level": 3}
    images[0].save(
        file,
        format="GIF" if kind == "gif" else "PNG",
        save_all=True,
        append_images=images[1:],
        duration=durations,
        loop=0,
        **options,
    )


def _palette(pictures: Frame) -> Image.Image:
    """Return the 256 most frequent colours of pictures ``(n, height, width, 4)``."""
    codes = _reduced(pictures).ravel()
    counts = np.bincount(codes, minlength=2**15)
    frequent = np.argsort(counts)[::-1][:256]
    sums = [np.bincount(codes, weights=pictures[..., channel].ravel(), minlength=2**15) for channel in range(3)]
    colors = np.stack([each[frequent] / np.maximum(counts[frequent], 1) for each in sums], axis=1)
    palette = Image.new("P", (1, 1))
    palette.putpalette(colors.round().astype(np.uint8).ravel().tolist())
    return palette


def _reduced(picture: Frame) -> NDArray[Any]:
    """Return colours with five bits each of red, green and blue."""
    pixels = np.ascontiguousarray(picture).view("<u4")[..., 0]
    reduced: NDArray[Any] = (pixels & 0xF8) << 7 | (pixels & 0xF800) >> 6 | (pixels & 0xF80000) >> 19
    return reduced


def _write_video(pictures: Sequence[Frame], file: BinaryIO, fps: float, hold_last: float) -> None:
    """Write an MP4 with ffmpeg. Its last frame is repeated, and sizes are even, as the codec demands."""
    program = ffmpeg()
    every = [*pictures, *[pictures[-1]] * math.ceil(hold_last * fps)]
    height, width = (length - length % 2 for length in every[0].shape[:2])
    source = ["-f", "rawvideo", "-pix_fmt", "rgba", "-s", f"{width}x{height}", "-r", f"{fps:g}", "-i", "-"]
    codec = ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "-"]
    done = subprocess.run(
        [program, "-loglevel", "error", *source, *codec],
        input=b"".join(each[:height, :width].tobytes() for each in every),
        capture_output=True,
        check=False,
    )
    if done.returncode != 0 or not done.stdout:
        reason = done.stderr.decode(errors="replace").strip().splitlines() or [f"exit code {done.returncode}"]
        raise MomentumLabError(f"{program} cannot write the video: {reason[-1]}; a .gif or .apng needs no program")
    file.write(done.stdout)


def ffmpeg() -> str:
    """Return the path of ffmpeg: on the PATH, or that of the extra ``[video]``.

    Raises
    ------
    MomentumLabError
        If there is none.
    """
    found = shutil.which("ffmpeg")
    if found:
        return found
    try:
        import imageio_ffmpeg  # type: ignore[import-not-found,unused-ignore]

        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except (ImportError, RuntimeError):
        message = "MP4 needs ffmpeg: install it, or momentumlab[video]; .gif and .apng need no other program"
        raise MomentumLabError(message) from None
