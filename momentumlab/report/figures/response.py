"""An optimizer as a filter: impulse response, step response, gain and phase."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from momentumlab.report.figure_options import FigureOptions
from momentumlab.report.figures import style
from momentumlab.report.figures.sheets import Margins, sheet
from momentumlab.theory import FilterResponse


def response_figure(
    responses: Sequence[tuple[str, FilterResponse]], title: str, options: FigureOptions | None = None
) -> Figure:
    """Draw the response of the velocity to one gradient, to a constant gradient and to oscillating gradients.

    Parameters
    ----------
    responses
        The label and the response of each setting.
    title
        The title of the figure.
    options
        Options of the figure.
    """
    options = options or FigureOptions()
    curves = style.listed_styles(options, [label for label, _ in responses])
    remark = "response of the velocity to one gradient, to a constant gradient and to oscillating gradients"
    margins = Margins(left=0.95, top=0.35, between_columns=0.95, between_rows=1.0)
    with sheet(4, (4.6, 2.6), options, margins=margins, title=title, remark=remark, curves=curves) as page:
        impulse, step, gain, phase = page.panels
        for (_, response), curve in zip(responses, curves, strict=True):
            k = np.arange(1, len(response.impulse) + 1)
            impulse.plot(k, response.impulse, marker="o", markersize=2.5, **curve.line)
            step.plot(k, response.step, marker="o", markersize=2.5, **curve.line)
            gain.plot(response.frequencies, response.gain, **curve.line)
            phase.plot(response.frequencies, -np.degrees(response.phase), **curve.line)
        impulse.set_title("impulse response: a single gradient of 1", loc="left")
        step.set_title("step response: a constant gradient of 1", loc="left")
        gain.set_title("gain: amplification of an oscillation", loc="left")
        phase.set_title("phase lag of an oscillation", loc="left")
        for panel in (impulse, step):
            style.plain_ticks(panel, whole_x=True)
            panel.set_xlabel("iteration")
            panel.set_ylabel("velocity")
        for panel in (gain, phase):
            panel.set_xlim(1e-3, 0.5)
            style.log_scale(panel, "x")
            panel.xaxis.set_major_locator(FixedLocator([0.001, 0.01, 0.1, 0.5]))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.plain_number(value)))
            panel.set_xlabel("cycles per iteration (0.5: the sign alternates)")
        style.log_scale(gain)
        gain.set_ylabel("gain")
        phase.yaxis.set_major_locator(FixedLocator([45.0 * i for i in range(-16, 9)]))
        lags = np.concatenate([-response.phase for _, response in responses])
        phase.set_ylim(math.degrees(lags.min()) - 8, math.degrees(lags.max()) + 8)
        phase.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}°".replace("-", "−")))
        phase.set_ylabel("phase")
        for panel in (impulse, step, gain, phase):
            panel.grid(True, axis="y")
    return page.figure
