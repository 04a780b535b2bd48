"""Successive halving: run many settings for a few iterations, and repeatedly keep the better half for a longer run.

K. Jamieson and A. Talwalkar, *Non-stochastic best arm identification and hyperparameter optimization*, AISTATS 2016,
arXiv 1502.07943. A setting that is kept runs again from its start with more iterations. Schedules, noise and
mini-batches depend on the iteration only, so the shorter run is the beginning of the longer one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from momentumlab.experiment import Choice, Comparison, Experiment, Stopping
from momentumlab.optimizers import OPTIMIZERS
from momentumlab.search.ranking import Yardstick
from momentumlab.search.searched import RunPlan, Searched, run_settings, sorted_by_lr


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A number of settings, and the iterations for which each of them runs."""

    settings: int
    iterations: int


def evaluations_per_stage(comparison: Comparison, experiment: Experiment) -> int:
    """Return the gradient evaluations that an optimizer may use from each start, in the first search and in each zoom.

    They suffice for `Comparison.coarse_budget` full trials of an optimizer with one gradient per iteration.
    """
    return comparison.coarse_budget * experiment.stopping.iterations


def rungs_of(settings: int, evaluations: int, stopping: Stopping, gradients_per_step: int) -> list[Rung]:
    """Divide a budget of gradient evaluations among rungs, each with half the settings of the one before.

    Parameters
    ----------
    settings
        The number of settings of the first rung.
    evaluations
        The budget of all rungs together, per start.
    stopping
        The stopping criteria; the last rung has all iterations.
    gradients_per_step
        The gradient evaluations per iteration.

    Raises
    ------
    ValueError
        If the gradient evaluations are too few.
    """
    extra = stopping.gradient_tolerance is not None  # one evaluation at the last point
    full = stopping.iterations * gradients_per_step + extra
    # Halve as rarely as the budget allows: every rung gets an equal share of it, and the last one must afford all
    # iterations for the settings that remain.
    for halvings in range(settings.bit_length()):
        share = evaluations // (halvings + 1)
        counts = [settings >> i for i in range(halvings + 1)]
        if counts[-1] * full > share:
            continue
        # The earlier rungs round their iterations down; the last one gets the evaluations that are left.
        lengths = [(min(share // count, full) - extra) // gradients_per_step for count in counts[:-1]]
        if min(lengths, default=1) < 1:
            break
        used = sum(
            count * (length * gradients_per_step + extra) for count, length in zip(counts[:-1], lengths, strict=True)
        )
        last = (evaluations - used) // full if full else counts[-1]
        counts[-1] = min(last, *counts[-2:-1], settings)
        return [Rung(settings=n, iterations=k) for n, k in zip(counts, [*lengths, stopping.iterations], strict=True)]
    message = f"{evaluations:,} gradient evaluations are too few to halve {settings} settings"
    raise ValueError(f"{message}: increase the budget or the iterations, or use the search 'grid'")


def first_rungs(comparison: Comparison, experiment: Experiment, choice: Choice) -> list[Rung]:
    """Return the rungs of the first search of an optimizer; see `rungs_of` for the error."""
    evaluations = evaluations_per_stage(comparison, experiment)
    return rungs_of(choice.combinations, evaluations, experiment.stopping, OPTIMIZERS[choice.name].gradients_per_step)


def halved(
    experiment: Experiment, pool: Sequence[Choice], evaluations: int, yardstick: Yardstick, run: RunPlan
) -> list[Searched]:
    """Search the settings of one optimizer by successive halving.

    Parameters
    ----------
    experiment
        A single surface.
    pool
        The optimizer once per grid, with the axes of that grid; all grids compete for the same rungs.
    evaluations
        The gradient evaluations for all grids together, per start.
    yardstick
        The measure that orders the settings.
    run
        The function that runs the trials.

    Returns
    -------
    searched
        For each grid with settings in the last rung, those settings and their results after all iterations.
    """
    stopping = experiment.stopping
    cost = OPTIMIZERS[pool[0].name].gradients_per_step
    rungs = rungs_of(sum(choice.combinations for choice in pool), evaluations, stopping, cost)
    kept = list(pool)
    for rung, following in zip(rungs, [*rungs[1:], None], strict=True):
        # Schedules extend over the full run in every rung; otherwise a short run would be another problem.
        short = replace(
            experiment,
            optimizers=tuple(kept),
            stopping=replace(stopping, iterations=rung.iterations),
            horizon=stopping.iterations,
        )
        searched = run_settings(short, run)
        if following is None:
            break
        parts = zip(*((one.final_losses, one.iterations, one.status_codes) for one in searched), strict=True)
        keys = yardstick.keys(*map(np.concatenate, parts))
        best = np.lexsort(keys[::-1])[: following.settings]
        # `best` indexes the concatenated cells of all grids: translate it into the cells of each grid.
        first, kept = 0, []
        for one in searched:
            own = np.sort(best[(best >= first) & (best < first + one.cells)]) - first
            first += one.cells
            if len(own):
                cells = range(one.cells) if one.choice.cells is None else one.choice.cells
                kept.append(replace(one.choice, cells=tuple(cells[index] for index in own.tolist())))
    return [sorted_by_lr(replace(one, choice=replace(one.choice, cells=None))) for one in searched]
