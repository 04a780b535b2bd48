"""Contracts of surfaces and optimizers: functions for a test suite, called by ``momentumlab check`` as well.

Each contract takes the name of a registered class and raises `AssertionError` with the problem if the class violates
it::

    @pytest.mark.parametrize("contract", OPTIMIZER_CONTRACTS)
    def test_my_optimizer(contract):
        contract("my_optimizer")

=============  ========================================================
module         content
=============  ========================================================
`surfaces`     contracts of surfaces
`optimizers`   contracts of optimizers
`derivatives`  comparison of gradients with differences, and diagnosis
`checking`     all contracts of a class, with one finding each
`common`       parts that both kinds of contracts share
`templates`    templates of plug-ins
=============  ========================================================
"""

from momentumlab.testing.checking import Finding, check
from momentumlab.testing.optimizers import OPTIMIZER_CONTRACTS
from momentumlab.testing.surfaces import SURFACE_CONTRACTS

__all__ = ["OPTIMIZER_CONTRACTS", "SURFACE_CONTRACTS", "Finding", "check"]
