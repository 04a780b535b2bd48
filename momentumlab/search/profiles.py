"""Performance and data profiles: how many problems a method solves, and at what cost.

E. D. Dolan and J. J. Moré, *Benchmarking optimization software with performance profiles*, Mathematical Programming 91
(2002); J. J. Moré and S. M. Wild, *Benchmarking derivative-free optimization algorithms*, SIAM J. Optim. 20 (2009).
"""

import numpy as np

from momentumlab.registry import Array


def performance_ratios(costs: Array) -> Array:
    """How many times the cost of the best method on the same problem each needs: 1 for the best itself.

    Parameters
    ----------
    costs
        ``(methods, problems)``; infinite where a method does not solve a problem.

    Returns
    -------
    Array
        ``(methods, problems)``; infinite where a problem is not solved.
    """
    best = costs.min(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = np.where(best > 0, costs / best, np.where(costs == 0, 1.0, np.inf))
    return np.where(np.isfinite(costs), ratios, np.inf)


def profile(values: Array) -> tuple[Array, Array]:
    """The share of problems on which a method's value is at most some number, as a step function of that number.

    With `performance_ratios` this is the performance profile, with the costs themselves the data profile.

    Parameters
    ----------
    values
        ``(problems,)``, infinite where the problem is not solved.

    Returns
    -------
    steps, shares
        The numbers at which the share grows, and the share from there on.
    """
    steps, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return steps, np.cumsum(counts) / len(values)
