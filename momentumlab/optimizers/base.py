"""What an optimizer is: a filter that turns a stream of gradients into a stream of velocities."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from momentumlab.catalogue import Array, Catalogue, Parameter, parameters_of

State = TypeVar("State", bound=tuple[object, ...])


class Optimizer(ABC, Generic[State]):
    """A rule from gradients to velocities. The engine, and only the engine, applies ``x ← x − lr · velocity``.

    So *velocity* means the same for every optimizer: minus the displacement per unit of lr.

    A new optimizer is one frozen dataclass below the decorator `optimizer`, with ``init`` and ``step``. Its
    hyperparameters are declared with `momentumlab.catalogue.parameter`; inside the methods each is a number or has
    shape ``(lanes,)``, and broadcasts against ``(dim, lanes)`` as it is. The learning rate is not among them.
    Both methods are pure, and lanes never mix.

    Attributes
    ----------
    equation
        The update, in the words of the docstring's source.
    source
        The paper, and the library that gives the same path.
    default_lr
        The learning rate where none is given: PyTorch's.
    """

    name: ClassVar[str]
    equation: ClassVar[str]
    source: ClassVar[str]
    default_lr: ClassVar[float]

    @abstractmethod
    def init(self, x: Array) -> State:
        """The state before the first gradient; a ``NamedTuple`` of arrays shaped like ``x``, or ``(lanes,)``."""

    @abstractmethod
    def step(self, state: State, g: Array, x: Array, t: int) -> tuple[Array, State]:
        """One iteration.

        Parameters
        ----------
        state
            What `init` or the last step gave.
        g
            The gradient at ``x``, ``(dim, lanes)``.
        x
            The current point, ``(dim, lanes)``.
        t
            The number of this iteration, from 1.

        Returns
        -------
        velocity, state
            The velocity has the shape of ``x``; the state has the shapes that it had.
        """

    @classmethod
    def parameters(cls) -> tuple[Parameter, ...]:
        """The learning rate and then what the class declares."""
        lr = Parameter(name="lr", default=cls.default_lr, ge=0, aliases=("learning_rate",), doc="learning rate")
        return (lr, *parameters_of(cls))


class Stateless(NamedTuple):
    """The state of an optimizer that remembers nothing."""


OPTIMIZERS: Catalogue[Optimizer[Any]] = Catalogue("optimizer")

OptimizerClass = TypeVar("OptimizerClass", bound=type[Optimizer[Any]])


def optimizer(name: str, *, lr: float, aliases: tuple[str, ...] = ()) -> Callable[[OptimizerClass], OptimizerClass]:
    """Enter the class below into the catalogue of optimizers; ``lr`` is its default learning rate."""

    def enter(cls: OptimizerClass) -> OptimizerClass:
        cls.name, cls.default_lr = name, lr
        OPTIMIZERS.register(name, cls, aliases)
        return cls

    return enter
