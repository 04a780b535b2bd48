"""What the golden trajectories record: which optimizers, hyperparameters, surfaces and iterates.

Every hyperparameter that momentumlab has, too, is moved off its default at least once. The learning rates keep away
from chaos: where steps are so long that a path never settles, any difference in rounding grows until nothing can be
compared.
"""

from dataclasses import dataclass
from typing import Any

ITERATIONS = 200
KEPT = slice(0, ITERATIONS + 1, 10)

SURFACES: dict[str, dict[str, Any]] = {
    "ravine": {"surface": "ravine", "start": [-2.4, 0.2]},
    "rosenbrock": {"surface": "rosenbrock", "start": [-1.2, 1.0]},
    "quadratic": {
        "surface": {
            "name": "quadratic",
            "eigenvalues": [0.1, 0.3, 0.5, 0.8, 1.0, 1.7, 2.5, 4.0, 6.0, 10.0],
            "rotation": 37.0,
        },
        "start": [1.0, -2.0, 0.5, 3.0, -1.5, 0.25, -0.75, 2.0, -0.1, 1.3],
    },
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """One optimizer with some hyperparameters, as one library has it."""

    library: str
    optimizer: str
    hyper: dict[str, Any]

    def key(self, surface: str) -> str:
        """The name of its path in the archive."""
        hyper = ",".join(f"{name}={value}" for name, value in sorted(self.hyper.items()))
        return f"{self.library}/{self.optimizer}/{hyper}/{surface}"


def _cases(library: str, optimizer: str, *settings: dict[str, Any]) -> list[Case]:
    return [Case(library=library, optimizer=optimizer, hyper=hyper) for hyper in settings]


OPTAX = {"dialect": "optax"}

CASES: list[Case] = [
    *_cases("torch", "sgd", {"lr": 1e-3}, {"lr": 2e-3, "weight_decay": 0.1}),
    *_cases(
        "torch",
        "momentum",
        {"lr": 1e-3},
        {"lr": 5e-4, "beta": 0.5, "dampening": 0.3, "weight_decay": 0.05},
        {"lr": 2e-4, "beta": 0.97},
    ),
    *_cases("torch", "nesterov", {"lr": 5e-4}, {"lr": 1e-3, "beta": 0.6, "weight_decay": 0.05}),
    *_cases(
        "torch",
        "adagrad",
        {"lr": 0.1},
        {"lr": 0.3, "lr_decay": 0.01, "initial_accumulator_value": 0.5, "eps": 1e-3, "weight_decay": 0.05},
    ),
    *_cases(
        "torch",
        "rmsprop",
        {"lr": 0.011},
        {"lr": 0.0003, "alpha": 0.9, "eps": 1e-3, "beta": 0.8, "weight_decay": 0.05},
        {"lr": 0.002, "alpha": 0.95, "centered": True, "eps": 1e-2},
    ),
    *_cases("torch", "adadelta", {"lr": 1.0}, {"lr": 0.7, "rho": 0.8, "eps": 1e-5, "weight_decay": 0.05}),
    *_cases(
        "torch",
        "adam",
        {"lr": 0.02},
        {"lr": 0.003, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.05},
        {"lr": 0.03, "amsgrad": True, "beta2": 0.9},
    ),
    *_cases(
        "torch",
        "adamw",
        {"lr": 0.02},
        {"lr": 0.003, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.3, "amsgrad": True},
    ),
    *_cases(
        "torch", "adamax", {"lr": 0.02}, {"lr": 0.003, "beta1": 0.7, "beta2": 0.95, "eps": 1e-2, "weight_decay": 0.05}
    ),
    *_cases(
        "torch",
        "nadam",
        {"lr": 0.02},
        {"lr": 0.003, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.05, "momentum_decay": 0.1},
    ),
    *_cases(
        "torch", "radam", {"lr": 0.0005}, {"lr": 0.0007, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.05}
    ),
    *_cases(
        "torch",
        "rprop",
        {"lr": 0.0137},
        {"lr": 0.0137, "eta_minus": 0.4, "eta_plus": 1.3, "min_step": 1e-4, "max_step": 0.11},
    ),
    *_cases("optax", "sgd", {"lr": 1e-3, "weight_decay": 0.1}),
    *_cases("optax", "momentum", {"lr": 1e-3, "beta": 0.8, "dampening": 0.4, "weight_decay": 0.05, **OPTAX}),
    *_cases("optax", "nesterov", {"lr": 5e-4, "beta": 0.8}),
    *_cases("optax", "momentum_ema", {"lr": 2e-3}, {"lr": 1e-3, "beta": 0.5}),
    *_cases("optax", "signum", {"lr": 0.0137}, {"lr": 0.00317, "beta": 0.6}),
    *_cases(
        "optax", "adagrad", {"lr": 0.1, **OPTAX}, {"lr": 0.3, "initial_accumulator_value": 0.5, "eps": 1e-3, **OPTAX}
    ),
    *_cases(
        "optax",
        "rmsprop",
        {"lr": 0.001, **OPTAX},
        {"lr": 0.0003, "alpha": 0.95, "eps": 1e-3, "beta": 0.8, **OPTAX},
        {"lr": 0.0005, "centered": True, "eps": 1e-2, **OPTAX},
    ),
    *_cases("optax", "adadelta", {"lr": 0.8, "rho": 0.95, "weight_decay": 0.05}),
    *_cases(
        "optax",
        "adam",
        {"lr": 0.02, "beta1": 0.8, "beta2": 0.99, "eps": 1e-4},
        {"lr": 0.03, "amsgrad": True, "beta2": 0.9, **OPTAX},
    ),
    *_cases("optax", "adamw", {"lr": 0.02, **OPTAX}, {"lr": 0.02, "weight_decay": 0.3, **OPTAX}),
    *_cases("optax", "adamax", {"lr": 0.02, "beta1": 0.8, "beta2": 0.99, "eps": 1e-2}),
    *_cases("optax", "nadam", {"lr": 0.02, **OPTAX}, {"lr": 0.003, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3, **OPTAX}),
    *_cases(
        "optax", "radam", {"lr": 0.0005, **OPTAX}, {"lr": 0.0007, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3, **OPTAX}
    ),
    *_cases(
        "optax",
        "adabelief",
        {"lr": 0.02},
        {"lr": 0.003, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3, "eps_root": 1e-4},
    ),
    *_cases(
        "optax",
        "yogi",
        {"lr": 0.02},
        {"lr": 0.003, "beta1": 0.7, "beta2": 0.95, "eps": 1e-2, "initial_accumulator_value": 0.1},
    ),
    *_cases("optax", "lion", {"lr": 0.00317}, {"lr": 0.0137, "beta1": 0.7, "beta2": 0.9, "weight_decay": 0.1}),
    *_cases(
        "optax",
        "adan",
        {"lr": 0.02, **OPTAX},
        {
            "lr": 0.02,
            "beta1": 0.9,
            "beta2": 0.8,
            "beta3": 0.95,
            "eps": 1e-3,
            "eps_root": 1e-4,
            "weight_decay": 0.05,
            **OPTAX,
        },
    ),
    *_cases("optax", "schedule_free_sgd", {"lr": 2e-3}, {"lr": 1e-3, "beta": 0.6, "weight_decay": 0.05}),
    *_cases(
        "optax",
        "schedule_free_adamw",
        {"lr": 0.02},
        {"lr": 0.003, "beta1": 0.7, "beta2": 0.95, "eps": 1e-3, "weight_decay": 0.05},
    ),
    *_cases("optax", "polyak_step", {"lr": 1.0, "max_step": 0.0003, **OPTAX}, {"lr": 1.0, "max_step": 0.001, **OPTAX}),
]
