"""An optimizer as a filter: impulse and step response, gain and phase."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from momentumlab.report.figures import style
from momentumlab.report.figures.curves import finish, head_height
from momentumlab.report.figures.selection import Curve
from momentumlab.report.response_table import Labelled, title


def response_figure(found: Sequence[Labelled]) -> Figure:
    """What the velocity makes of one gradient, of gradients that persist, and of those that come and go."""
    curves = [
        Curve(label=one.label, color=style.color(i), line_style=style.line_style(i)) for i, one in enumerate(found)
    ]
    remark = "what the velocity makes of one gradient, of a gradient that stays, and of gradients that come and go"
    with style.styled():
        margins = style.Margins(
            left=0.95, top=head_height(curves, 2, remark) + 0.35, between_columns=0.95, between_rows=1.0
        )
        figure, (impulse, step, gain, phase) = style.panels(2, 2, 4.6, 2.6, margins)
        for one, curve in zip(found, curves, strict=True):
            said = one.response
            look: style.Style = {"color": curve.color, "linestyle": curve.line_style, "linewidth": 1.5}
            k = np.arange(1, len(said.impulse) + 1)
            impulse.plot(k, said.impulse, marker="o", markersize=2.5, **look)
            step.plot(k, said.step, marker="o", markersize=2.5, **look)
            gain.plot(said.frequencies, said.gain, **look)
            phase.plot(said.frequencies, -np.degrees(said.phase), **look)
        for panel, heading in (
            (impulse, "velocity after one gradient of 1"),
            (step, "velocity while the gradient stays 1"),
            (gain, "gain: by what a swing is multiplied"),
            (phase, "phase: by how much a swing is late"),
        ):
            panel.set_title(heading, loc="left")
            panel.grid(True, axis="y")
        for panel in (impulse, step):
            style.plain_ticks(panel, whole_x=True)
            panel.set_ylabel("velocity")
        for panel in (gain, phase):
            panel.set_xlim(1e-3, 0.5)
            style.log_scale(panel, "x")
            panel.xaxis.set_major_locator(FixedLocator([0.001, 0.01, 0.1, 0.5]))
            panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: style.plain_number(value)))
        style.log_scale(gain)
        gain.set_ylabel("gain")
        phase.yaxis.set_major_locator(FixedLocator([45.0 * i for i in range(-16, 9)]))
        low = min(float(np.min(-one.response.phase)) for one in found)
        high = max(float(np.max(-one.response.phase)) for one in found)
        phase.set_ylim(math.degrees(low) - 8, math.degrees(high) + 8)
        phase.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}°".replace("-", "−")))
        phase.set_ylabel("phase")
        finish(figure, [impulse, step], curves, title(list(found)), remark)
        for panel in (gain, phase):
            panel.set_xlabel("cycles per iteration (0.5: changes sign each time)")
    return figure
