"""Search of hyperparameters: grids, rankings, and comparisons of optimizers.

============  =====================================================================
module        contents
============  =====================================================================
`planes`      the trials of one optimizer as a grid, and the best cell
`sweeps`      the grids of a sweep with named axes
`searched`    the settings that were searched for an optimizer, and their results
`tuning`      the search of all optimizers, with wider and finer grids as needed
`halving`     successive halving, a search for expensive problems
`ranking`     the best setting for an objective, and the ranks of the optimizers
`profiles`    performance and data profiles over several problems
`comparison`  a whole comparison: search, choice, final runs and ranking
============  =====================================================================
"""

from momentumlab.search.comparison import ComparisonResult, Match, Standing, compare

__all__ = ["ComparisonResult", "Match", "Standing", "compare"]
