"""The base class of optimizers, which map gradients to velocities."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

import numpy as np

from momentumlab.errors import UnknownNameError
from momentumlab.parameters import Array, Parameter, Real, ValueKind, parameter, parameters_of
from momentumlab.registry import Class, Registry
from momentumlab.surfaces import Surface

State = TypeVar("State", bound=tuple[object, ...])


LR_SCHEDULE = "lr_schedule"
"""The setting of an optimizer that multiplies its learning rate in each iteration."""


class Here(NamedTuple):
    """The point and the iteration at which a gradient was evaluated. Most methods use only the gradient.

    Attributes
    ----------
    x
        The current point, ``(dim, lanes)``.
    t
        The number of this iteration, from 1; ``(lanes,)`` if trials started at different times.
    loss
        The loss at ``x``, ``(lanes,)``.
    lr
        The learning rate that the engine is about to apply, ``(lanes,)``. Do not keep it in the state.
    surface
        The surface, with its Hessian and minima. If gradients are random, its exact gradient is not available.
    oracle
        The source of `gradient`; by default the exact gradient of the surface.
    """

    x: Array
    t: Array | int
    loss: Array
    lr: Array
    surface: Surface
    oracle: Callable[[Array], Array] | None = None

    def gradient(self, x: Array) -> Array:
        """Return the gradient at other points, with the noise or the mini-batch of this iteration's gradient.

        The optimizer declares the number of its gradients; see `Optimizer.gradients_per_step`.

        Parameters
        ----------
        x
            The points, ``(dim, lanes)``.
        """
        return self.surface.gradient(x) if self.oracle is None else self.oracle(x)


class WithoutExactGradient:
    """The surface that an optimizer receives if gradients are random; its exact gradient raises an error."""

    def __init__(self, surface: Surface) -> None:
        self._surface = surface

    def __getattr__(self, name: str) -> Any:
        if name in ("gradient", "sampled_gradient"):
            raise RuntimeError(
                f"here.surface.{name} gives the optimizer a gradient without the errors of this iteration: "
                "call here.gradient(x)"
            )
        return getattr(self._surface, name)


class Optimizer(ABC, Generic[State]):
    """A rule that maps gradients to velocities. Only the engine applies ``x ← x − lr · velocity``.

    The velocity of every optimizer is therefore minus the displacement per unit of lr.

    A new optimizer is a frozen dataclass with the decorator `optimizer` and the methods ``init`` and ``step``, which
    are pure and keep lanes independent. Hyperparameters other than the learning rate are declared with
    `momentumlab.parameters.parameter`; inside the methods each is a number or has shape ``(lanes,)`` and broadcasts
    against ``(dim, lanes)``.

    Attributes
    ----------
    equation
        The update, in the notation of its source.
    source
        The paper, and the library that computes the same path.
    default_lr
        Default learning rate: that of PyTorch if it has the method, else that of the paper, else that of gradient
        descent.
    constant_lr
        Why the learning rate must be constant during a run; empty if it may follow a schedule.
    gradients_per_step
        Gradient evaluations per iteration: 1, and one more for each call of ``here.gradient``.
    requires
        What the surface must provide besides its gradient: ``"minimum"`` (a known lowest loss) or ``"hessian"``.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    source: ClassVar[str]
    default_lr: ClassVar[float]
    constant_lr: ClassVar[str] = ""
    gradients_per_step: ClassVar[int] = 1
    requires: ClassVar[frozenset[str]] = frozenset()

    starts_together: ClassVar[bool] = False
    """All trials of a batch must be in the same iteration: a library counts the steps of all lanes together."""

    @property
    def sets_point(self) -> bool:
        """Whether the new point is ``state.x``, as another library rounded it, instead of ``x − lr · velocity``."""
        return False

    @property
    def execution(self) -> str:
        """How the steps of another library are computed; empty for optimizers of this package and of plug-ins."""
        return ""

    @abstractmethod
    def init(self, x: Array) -> State:
        """Return the initial state: a ``NamedTuple`` of arrays whose last axis is the lanes."""

    @abstractmethod
    def step(self, state: State, g: Array, here: Here) -> tuple[Array, State]:
        """Return the velocity and the next state.

        Parameters
        ----------
        state
            The state returned by `init` or the last step.
        g
            The gradient, ``(dim, lanes)``.
        here
            Point, iteration, loss and learning rate at which the gradient was evaluated.

        Returns
        -------
        velocity, state
            The velocity has the shape of ``g``; the shapes of the state do not change.
        """

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """Return the learning rate, followed by the hyperparameters that the class declares."""
        aliases, constant = ("learning_rate",), cls.constant_lr
        lr = Parameter(name="lr", default=cls.default_lr, ge=0, aliases=aliases, constant=constant, doc="learning rate")
        return (lr, *parameters_of(cls))

    @classmethod
    def settings(cls) -> tuple[Parameter, ...]:
        """Return the parameters, and the schedule that multiplies the learning rate."""
        doc = "factor of lr in each iteration"
        factor = Parameter(
            name=LR_SCHEDULE,
            kind=ValueKind.SCHEDULE,
            default=1.0,
            ge=0,
            shared=True,
            constant=cls.constant_lr,
            doc=doc,
        )
        return (*cls.parameters(), factor)


class Stateless(NamedTuple):
    """The state of an optimizer without memory."""


class OptimizerRegistry(Registry[Optimizer[Any]]):
    """Registry of optimizers. Keys are names, or ``library:name`` for optimizers of other libraries."""

    def canonical(self, name: str) -> str:
        """Return the canonical name of a name or an alias; see `adapters.adapted` for the errors of libraries."""
        return self[name].name if ":" in name else super().canonical(name)

    def __getitem__(self, name: str) -> type[Optimizer[Any]]:
        if ":" in name:
            from momentumlab.optimizers.adapters import adapted

            return adapted(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        if isinstance(name, str) and ":" in name:
            try:
                return self[name] is not None
            except UnknownNameError:
                return False
        return super().__contains__(name)


OPTIMIZERS = OptimizerRegistry("optimizer", required=("equation", "source"), group="momentumlab.optimizers")


def optimizer(name: str, *, lr: float, aliases: tuple[str, ...] = ()) -> Callable[[Class], Class]:
    """Register the decorated class as an optimizer; ``lr`` is its default learning rate."""
    return OPTIMIZERS.entry(name, aliases=aliases, default_lr=lr)


# Declarations shared by several families


def momentum_parameter(
    default: float = 0.9, name: str = "momentum", doc: str = "fraction of the velocity that is kept"
) -> Any:
    """Declare β of the momentum family."""
    return parameter(default, ge=0, lt=1, aliases=(name,), doc=doc)


def weight_decay_parameter(
    default: float = 0.0, optax: float | None = None, doc: str = "L2 regularisation: adds weight_decay · x to g"
) -> Any:
    """Declare weight decay, by default as a part of the gradient."""
    return parameter(default, ge=0, optax=optax, doc=doc)


def dialect_parameter(doc: str) -> Any:
    """Declare the choice between the variants of PyTorch and optax."""
    return parameter("pytorch", choices=("pytorch", "optax"), doc=doc)


def is_off(value: Real) -> bool:
    """Return whether a hyperparameter is zero in all lanes, so its term can be skipped."""
    return isinstance(value, float) and value == 0


def decayed(g: Array, x: Array, weight_decay: Real) -> Array:
    """Return the gradient with weight decay, ``g + weight_decay · x``."""
    return g if is_off(weight_decay) else g + weight_decay * x


def per_lane(value: Real | float, x: Array) -> Array:
    """Return a number per lane, ``(lanes,)``, from a hyperparameter or a constant."""
    return np.zeros(x.shape[1:]) + value
