"""Why the measured rate of a trial differs from the predicted one, and why a smaller β may be faster.

Each possible reason is tested on the data of the trial. The first one that passes is reported.
"""

import math
from collections.abc import Mapping

import numpy as np

from momentumlab.parameters import Array
from momentumlab.result import Result, Status
from momentumlab.theory.linear_map import LATE, TheoryDoesNotApplyError, simulated, state_at_rest
from momentumlab.theory.local_model import LocalModel, local_model
from momentumlab.theory.modes import critical_betas
from momentumlab.theory.rate_fits import FEWEST, agrees, path_rate, usable_entries
from momentumlab.theory.rates import ROUNDING, UNDERFLOW, TrialRate, displacements, expectations

UNEXPLAINED = "unexplained"

LONGEST_TRANSIENT = 64, 200_000
"""The predicted path is searched for the end of the transient up to this multiple of the run and this iteration."""

LONGEST_CONTINUATION = 8, 4000
"""If theory does not give the path, the run is continued to this multiple of its length, by at most this many
iterations."""

CYCLE = 1e-6
"""Iterates that repeat up to this share of their amplitude form a limit cycle."""

LONGEST_CYCLE = 64


def rate_reason(result: Result, number: int, rate: TrialRate) -> str | None:
    """Return why the measured rate of a trial differs from the predicted one, or why one of them is missing.

    Returns
    -------
    str or None
        ``None`` if the two agree.
    """
    if result.experiment.noise is not None or result.experiment.is_random:
        return "noise: the iterates settle at a noise floor, not at a rate"
    if rate.minimum is None:
        return "no minimum of this surface is known"
    if rate.measured is not None and (rate.predicted is None or agrees(rate.measured, rate.predicted)):
        return rate.not_predicted or None
    with np.errstate(all="ignore"):
        expected = expectations(result, {number: rate.minimum})
        displaced, floor = displacements(result, number, rate.minimum, expected[number])
        if rate.measured is None or rate.predicted is None:
            return _why_not_measured(displaced, floor)
        try:
            model = local_model(result.plan, number, rate.minimum)
        except TheoryDoesNotApplyError:
            return UNEXPLAINED
        return _why_different(result, number, model, rate.measured, rate.predicted, displaced, floor)


def _why_not_measured(displaced: Array, floor: float) -> str:
    distances = np.sqrt((displaced**2).sum(axis=1))
    usable = len(usable_entries(distances, floor))
    made = max(usable - 1, 0)  # the first entry is the start
    iterations = "1 iteration" if made == 1 else f"{made} iterations"
    # Too few entries because the run was short, or because it reached the minimum within rounding?
    if usable < FEWEST and not (distances[np.isfinite(distances)][-1:] > floor).any():
        before = np.flatnonzero(distances > floor)
        first = int(before[-1]) + 1 if len(before) else 0
        after = "1 iteration" if first == 1 else f"{first} iterations"
        return f"the minimum is reached within rounding after {after}, too few for a rate"
    if usable < FEWEST:
        return f"{iterations} {'is' if made == 1 else 'are'} too few for a rate"
    return "the run is too short: it has not completed enough oscillations"


def _why_different(
    result: Result, number: int, model: LocalModel, measured: float, predicted: float, displaced: Array, floor: float
) -> str:
    start = np.array(result.plan.trial(number).start)
    iterations = result.recorded(number)
    curved = ~model.is_flat[model.groups]
    if model.is_exact:
        # Theory gives the whole path. If its rate, fitted in the same way, agrees with the measured one, then theory
        # explains the difference, and only the name of the reason is missing.
        path = model.linear_path(start, int(iterations[-1]))
        of_path = path_rate(path[iterations][:, curved], iterations, floor)
        is_explained = of_path is not None and agrees(measured, of_path)
        excited = (model.components(start) > 0) & ~model.is_flat
    else:  # a nonlinear method may excite directions later, so the whole path counts
        is_explained = False
        sizes = np.zeros(len(model.curvatures))
        np.maximum.at(sizes, model.groups, np.nanmax(np.abs(model.coefficients(result.path(number).T)), axis=1))
        excited = (sizes > 1e-9 * sizes.max()) & ~model.is_flat

    # 1. The start lies on a subset of the eigenvectors.
    rate_of_excited = float(model.rates[excited].max(initial=0.0))
    if excited.any() and not agrees(rate_of_excited, predicted) and (is_explained or agrees(measured, rate_of_excited)):
        missing = ", ".join(f"{curvature:.4g}" for curvature in np.array(model.curvatures)[~excited & ~model.is_flat])
        return (
            f"the start has no component along the direction with curvature {missing}; "
            f"the rate of the others is {rate_of_excited:.4f}"
        )

    # 2. A double root: the distance divided by the iteration has the predicted rate.
    slowest = model.modes[int(np.where(excited, model.rates, -1.0).argmax())]
    if slowest.has_double_root:
        divided = path_rate(displaced / np.maximum(iterations, 1)[:, np.newaxis], iterations, floor)
        if is_explained or (divided is not None and agrees(divided, predicted)):
            return "a double root: the distance behaves as t·ρᵗ, and its slope approaches ρ slowly"

    # 3. The run is too short: the predicted path, or else the continued run, has the predicted rate later.
    made = int(iterations[-1])
    if is_explained:
        multiple, most = LONGEST_TRANSIENT
        longer = model.linear_path(start, min(multiple * made, most))[:, curved]
        length = _transient(longer, made, predicted, floor=0.0)
        if length is not None:
            reached = np.flatnonzero(np.sqrt((longer[: int(length)] ** 2).sum(axis=1)) > floor)
            is_rounding = len(reached) > 0 and reached[-1] < made
            why = "rounding ends the run" if is_rounding else "the run is too short"
            return f"{why}: the transient lasts about {length:.3g} iterations"
    if predicted < 1 and made > 0 and result.status_of(number) is not Status.DIVERGED:
        multiple, most = LONGEST_CONTINUATION
        total = min(multiple * made, made + most)
        continued, _ = simulated(model.optimizer, model.lr, model.surface, start[:, np.newaxis], total)
        rounding = max(ROUNDING * float(np.abs(model.fixed_point).max()), UNDERFLOW)
        along = (continued[:, :, 0] - model.fixed_point) @ model.vectors[:, curved]
        length = _transient(along, made, predicted, rounding)
        if length is not None:
            return f"the run is too short: the transient lasts about {length:.3g} iterations"

    # 4. A limit cycle. 5. Averages that have not settled. 6. Iterates where the linear theory does not hold.
    return (
        _limit_cycle(result, number)
        or _unsettled(model, start, made, predicted)
        or _outside(result, number, model, displaced)
        or UNEXPLAINED
    )


def _transient(path: Array, made: int, predicted: float, floor: float) -> float | None:
    """Return the length from which a path, ``(entries, directions)``, has the predicted rate; ``None`` if never."""
    length, first, confirmations = float(made), None, 0
    while length < len(path) - 1:
        length = min(1.2 * length, len(path) - 1.0)
        times = np.arange(int(length) + 1)
        rate = path_rate(path[times], times, floor)
        # Three lengths must agree: a measured rate may cross the predicted one by chance.
        if rate is None or not agrees(rate, predicted):
            first, confirmations = None, 0
            continue
        first, confirmations = first or length, confirmations + 1
        if confirmations == 3:
            break
    return first


def _unsettled(model: LocalModel, start: Array, made: int, predicted: float) -> str | None:
    """Return a reason if the same run has the predicted rate once the averages of the method have settled."""
    state = state_at_rest(model.optimizer, np.array([model.lr]), model.surface, len(start))
    path, _ = simulated(model.optimizer, model.lr, model.surface, start[:, np.newaxis], made, first=LATE, state=state)
    along = (path[:, :, 0] - model.fixed_point) @ model.vectors[:, ~model.is_flat[model.groups]]
    rounding = max(ROUNDING * float(np.abs(model.fixed_point).max()), UNDERFLOW)
    rate = path_rate(along, np.arange(made + 1), rounding)
    if rate is None or not agrees(rate, predicted):
        return None
    return f"the averages of {model.optimizer.name} have not settled after {made} iterations"


def _limit_cycle(result: Result, number: int) -> str | None:
    """Return a reason if the last iterates repeat."""
    path = result.path(number)
    path = path[np.isfinite(path).all(axis=1)]
    if len(path) < FEWEST or result.recorded(number)[1] != 1:
        return None
    for period in range(1, min(LONGEST_CYCLE, len(path) // 4) + 1):
        # Relative to the motion over the same iterations, which would shrink if the trial converged.
        last = path[-3 * period - 1 :]
        amplitude = float(np.ptp(last, axis=0).max())
        if amplitude == 0:
            return "the iterates stand still away from the minimum"
        if np.abs(last[period:] - last[:-period]).max() <= CYCLE * amplitude:
            return f"a limit cycle of {period} iterations"
    return None


def _outside(result: Result, number: int, model: LocalModel, displaced: Array) -> str | None:
    """Return a reason if a trial left or never reached the region where the linear theory holds."""
    if math.isinf(model.holds_within):
        return None
    distances = np.sqrt((displaced**2).sum(axis=1))
    if result.status_of(number) is Status.DIVERGED:
        if distances[0] > model.holds_within:
            return f"the start is {distances[0]:.3g} away, and the linear theory holds within {model.holds_within:g}"
        return None
    nearest = float(distances[len(distances) // 2 :].min())
    if nearest > model.holds_within:
        return f"the iterates stay {nearest:.3g} away, and the linear theory holds within {model.holds_within:g}"
    return None


def underdamped_remark(result: Result, rates: Mapping[int, TrialRate]) -> str | None:
    """Return a remark if a larger β is slower in these trials because every direction is underdamped.

    The rate of an underdamped direction is √β for any curvature, so only a smaller β is faster.
    """
    # The rates are known already: most trials are ruled out before a model is computed.
    candidates: dict[float, int] = {}
    for number, rate in rates.items():
        beta = result.plan.trial(number).hyperparameters.get("beta")
        if isinstance(beta, float) and rate.predicted is not None and abs(rate.predicted - math.sqrt(beta)) <= 1e-9:
            candidates[beta] = number
    if len(candidates) < 2:
        return None
    # The candidates have the rate √β; the model of one of them shows whether every direction is underdamped.
    number = candidates[max(candidates)]
    minimum = rates[number].minimum
    assert minimum is not None
    try:
        model = local_model(result.plan, number, minimum)
    except TheoryDoesNotApplyError:
        return None
    if not model.rate_is_root_of_beta:
        return None
    found = critical_betas(model.optimizer, model.lr, np.array(model.curvatures))
    critical = ", ".join(f"{beta:.3g}" for beta in found[np.isfinite(found)])
    which = ", ".join(f"{beta:g}" for beta in sorted(candidates))
    return (
        f"β = {which}: all directions are underdamped, so the rate is √β and a smaller β is faster "
        f"(critical β: {critical})"
    )
