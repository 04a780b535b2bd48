"""The keyword arguments of `momentumlab.run` and the other functions, so that type checkers find misspelt ones."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from momentumlab.noise import Noise
    from momentumlab.optimizers import Optimizer
    from momentumlab.schedules import Schedule
    from momentumlab.surfaces import Surface

    Number = float | Schedule | str
    Numbers = Number | Sequence[object] | NDArray[Any] | None
    """A number, a schedule, a call such as ``"geomspace(1e-3, 1, 7)"``, or an axis of several values."""

    LossFunction = Callable[[NDArray[np.float64]], Any]
    AnySurface = str | Surface | type[Surface] | LossFunction | dict[str, Any] | None
    AnyOptimizer = str | Optimizer[Any] | type[Optimizer[Any]] | dict[str, Any] | None
    Start = Sequence[float] | Sequence[Sequence[float]] | NDArray[Any] | float | str | None


class Settings(TypedDict, total=False):
    """The settings of an experiment and the hyperparameters of all optimizers of this package.

    Attributes
    ----------
    settings
        Hyperparameters of other optimizers, and paths: ``{"alpha": 0.3, "surface.a": 0.1}``.
    gradient
        The gradient of a ``surface`` that is a Python function.
    """

    settings: "Mapping[str, object] | None"
    gradient: "LossFunction | None"
    name: str
    surface: "AnySurface | Sequence[object]"
    optimizer: "AnyOptimizer | Sequence[object]"
    optimizers: "AnyOptimizer | Sequence[object]"
    start: "Start"
    iterations: int | str | None
    tolerance: float | None
    patience: int | None
    gradient_tolerance: float | None
    target_loss: float | None
    evaluate_every: int
    noise: "float | str | Noise | None"
    replicates: int | None
    seed: int | None
    backend: str | None
    lr: "Numbers"
    learning_rate: "Numbers"
    lr_schedule: "Numbers"
    beta: "Numbers"
    momentum: "Numbers"
    alpha: "Numbers"
    amsgrad: bool | Sequence[bool] | None
    b1: "Numbers"
    b2: "Numbers"
    b3: "Numbers"
    beta1: "Numbers"
    beta2: "Numbers"
    beta3: "Numbers"
    betas: "Numbers"
    caution: "Numbers"
    centered: bool | Sequence[bool] | None
    condition_number: "Numbers"
    dampening: "Numbers"
    dialect: str | Sequence[str] | None
    eps: "Numbers"
    eps_root: "Numbers"
    eta_minus: "Numbers"
    eta_plus: "Numbers"
    horizon: "Numbers"
    initial_accumulator_value: "Numbers"
    kappa: "Numbers"
    lr_decay: "Numbers"
    max_step: "Numbers"
    min_step: "Numbers"
    momentum_decay: "Numbers"
    nu: "Numbers"
    nu1: "Numbers"
    nu2: "Numbers"
    rho: "Numbers"
    scheme: str | Sequence[str] | None
    weight_decay: "Numbers"


class SearchSettings(Settings, total=False):
    """The settings of a comparison or a search."""

    surfaces: "AnySurface | Sequence[object]"
    objective: str
    budget: int
    search: str
    zooms: int
    accuracy: float


class ConventionSettings(TypedDict, total=False):
    """The hyperparameters of conventions: those of momentum, and those of Adam, AdamW and RMSprop."""

    lr: float | None
    beta: float | None
    nesterov: bool
    dampening: float | None
    nu: float | None
    beta1: float
    beta2: float
    eps: float
    eps_root: float
    eps_in_sqrt: bool
    bias_correction: bool
    weight_decay: float
