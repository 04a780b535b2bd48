"""Performance and data profiles: the fraction of problems that a method solves within a given cost.

E. D. Dolan and J. J. Moré, *Benchmarking optimization software with performance profiles*, Mathematical Programming 91
(2002); J. J. Moré and S. M. Wild, *Benchmarking derivative-free optimization algorithms*, SIAM J. Optim. 20 (2009).
"""

import numpy as np

from momentumlab.parameters import Array


def performance_ratios(costs: Array) -> Array:
    """Return the ratio of each cost to the lowest cost on the same problem.

    Parameters
    ----------
    costs
        ``(methods, problems)``; infinite if a method does not solve a problem.

    Returns
    -------
    Array
        ``(methods, problems)``, at least 1; infinite if a method does not solve a problem.
    """
    best = costs.min(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.where(best > 0, costs / best, np.where(costs == 0, 1.0, np.inf))
    return np.where(np.isfinite(costs), ratios, np.inf)


def profile(values: Array) -> tuple[Array, Array]:
    """Return the fraction of problems with at most a given value, as a step function of that value.

    Applied to `performance_ratios`, it is the performance profile; applied to costs, the data profile.

    Parameters
    ----------
    values
        ``(problems,)``, infinite if the problem is not solved.

    Returns
    -------
    steps, shares
        The values at which the fraction increases, and the fraction from there on.
    """
    steps, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return steps, np.cumsum(counts) / len(values)
