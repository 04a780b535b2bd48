# %% [markdown]
# # A new optimizer, judged fairly
#
# This notebook defines an optimizer, checks it, compares it with tuned baselines on several surfaces with noisy
# gradients, and writes a table for a paper.

# %%
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

import momentumlab
from momentumlab.optimizers import Optimizer, optimizer
from momentumlab.parameters import Array, Real, parameter


class Memory(NamedTuple):
    v: Array


@optimizer("sign_blend", lr=0.01)
@dataclass(frozen=True, kw_only=True)
class SignBlend(Optimizer[Memory]):
    """Momentum whose velocity is blended with its sign."""

    beta: Real = parameter(0.9, ge=0, lt=1, doc="momentum")
    alpha: Real = parameter(0.5, ge=0, le=1, doc="weight of the sign")
    equation = "v ← β v + (1 − β) g,  x ← x − lr·((1 − α) v + α sign v)"
    source = "this notebook"

    def init(self, x):
        return Memory(np.zeros_like(x))

    def step(self, state, g, here):
        v = self.beta * state.v + (1 - self.beta) * g
        return (1 - self.alpha) * v + self.alpha * np.sign(v), Memory(v)


findings = momentumlab.check("sign_blend")
print(sum(finding.has_passed for finding in findings), "of", len(findings), "checks passed")

# %% [markdown]
# ## Comparison
#
# Each method gets the same number of learning rates, the same starts and the same noise. The settings are chosen by a
# robust objective and judged on noise and starts that the search has not used; methods that the data do not separate
# share a rank.

# %%
comparison = momentumlab.compare(
    surface=["ravine", "rosenbrock"],
    optimizers=["sgd", "momentum", "adam", "sign_blend"],
    start="random(4)",
    noise="gaussian(0.1)",
    iterations=150,
    budget=16,
)
comparison

# %%
for row in comparison.summary():
    print(f"{row['surface']:<11} {row['rank']}  {row['optimizer']:<11} lr = {row['hyperparameters']['lr']:.3g}")

# %% [markdown]
# ## Your own function
#
# A surface can be any Python function of an array; without a gradient it is differentiated by complex steps.


# %%
def valley(x):
    return (1 - x[0]) ** 2 + 20 * (x[1] - x[0] ** 2) ** 2


paths = momentumlab.run(
    surface=valley, optimizer=["momentum", "sign_blend"], lr=5e-3, start=[-1.0, 1.0], iterations=150
)
paths.plot_trajectories()

# %% [markdown]
# ## What the run folder keeps
#
# With `out=`, everything is stored: settings, numbers, figures. `open_run` reads it back, bit for bit.

# %%
import tempfile

with tempfile.TemporaryDirectory() as folder:
    stored = momentumlab.run(surface="ravine", optimizer="momentum", lr=[0.05, 0.1], out=folder)
    again = momentumlab.open_run(stored.run_folder)
    print((again.final_losses == stored.final_losses).all())

# %% [markdown]
# ## The page for the supplement

# %%
momentumlab.explore(surface="ravine", optimizer="sign_blend", lr=[0.02, 0.1], iterations=30)
