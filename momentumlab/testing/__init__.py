"""The contracts of surfaces and optimizers, as functions for your test suite or that of this package.

With pytest::

    import my_lab  # registers my_optimizer
    import pytest
    from momentumlab.testing import OPTIMIZER_CONTRACTS

    @pytest.mark.parametrize("contract", OPTIMIZER_CONTRACTS)
    def test_my_optimizer(contract):
        contract("my_optimizer")

Each raises `AssertionError` where the promise is broken. ``momentumlab check`` calls them all.

=============  ====================================================
module         part
=============  ====================================================
`surfaces`     the contracts of surfaces
`derivatives`  gradients against differences, and what differs
`optimizers`   the contracts of optimizers
`checking`     all contracts of an entry, one finding each
`templates`    files to start from
=============  ====================================================
"""

from momentumlab.testing.checking import Finding, check
from momentumlab.testing.optimizers import OPTIMIZER_CONTRACTS
from momentumlab.testing.surfaces import SURFACE_CONTRACTS

__all__ = ["OPTIMIZER_CONTRACTS", "SURFACE_CONTRACTS", "Finding", "check"]
