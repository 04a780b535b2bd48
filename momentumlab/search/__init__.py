"""Optimizers side by side: each with the best of what was searched for it, ranked, and profiled over many problems.

===========  ==========================================================================
module       part
===========  ==========================================================================
`search`     tries all settings of all optimizers, and more where the best lie at an edge
`judgement`  which setting serves the objective best, and who is ahead of whom
`profiles`   performance and data profiles over several problems
`comparison` the whole: search, choose, run the chosen, rank
===========  ==========================================================================
"""

from momentumlab.search.comparison import ComparisonResult, Match, Standing, compare

__all__ = ["ComparisonResult", "Match", "Standing", "compare"]
