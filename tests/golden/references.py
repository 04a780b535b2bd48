"""The optimizers of PyTorch and optax under momentumlab's names, in float64. Needs the extra ``[parity]``."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Gradient = Callable[[Vector], Vector]
Loss = Callable[[Vector], float]


def reference_path(
    library: str, optimizer: str, hyper: dict[str, Any], gradient: Gradient, loss: Loss, start: Vector, iterations: int
) -> Vector:
    """The start and the point after each iteration, ``(iterations + 1, dim)``."""
    walk = _torch_path if library == "torch" else _optax_path
    return np.array(list(walk(optimizer, hyper, gradient, loss, start, iterations)))


def _torch_path(
    optimizer: str, hyper: dict[str, Any], gradient: Gradient, loss: Loss, start: Vector, iterations: int
) -> Iterator[Vector]:
    import torch

    torch.set_default_dtype(torch.float64)  # some optimizers keep scalars in the default type
    x = torch.tensor(start)
    made = TORCH[optimizer](torch.optim, [x], dict(hyper))
    yield x.numpy().copy()
    for _ in range(iterations):
        x.grad = torch.tensor(gradient(x.numpy()))
        made.step()
        yield x.numpy().copy()


def _optax_path(
    optimizer: str, hyper: dict[str, Any], gradient: Gradient, loss: Loss, start: Vector, iterations: int
) -> Iterator[Vector]:
    import jax
    import optax

    jax.config.update("jax_enable_x64", True)
    made = optax.with_extra_args_support(OPTAX[optimizer](optax, {k: v for k, v in hyper.items() if k != "dialect"}))
    update = jax.jit(made.update)
    x = jax.numpy.asarray(start)
    state = made.init(x)
    yield np.asarray(x)
    for _ in range(iterations):
        here = np.asarray(x)
        updates, state = update(jax.numpy.asarray(gradient(here)), state, x, value=loss(here))
        x = optax.apply_updates(x, updates)
        yield np.asarray(x)


def _betas(hyper: dict[str, Any]) -> dict[str, Any]:
    """Adam's keywords in PyTorch."""
    betas = (hyper.pop("beta1", 0.9), hyper.pop("beta2", 0.999))
    return {**hyper, "betas": betas}


def _renamed(hyper: dict[str, Any], **names: str) -> dict[str, Any]:
    return {names.get(key, key): value for key, value in hyper.items()}


def _decayed(optax: Any, hyper: dict[str, Any], make: Callable[[dict[str, Any]], Any]) -> Any:
    """An optimizer of optax behind a weight decay that is a part of the gradient."""
    decay = hyper.pop("weight_decay", 0.0)
    return optax.chain(optax.add_decayed_weights(decay), make(hyper))


def _b(hyper: dict[str, Any]) -> dict[str, Any]:
    return _renamed(hyper, lr="learning_rate", beta1="b1", beta2="b2", beta3="b3")


def _yogi(optax: Any, hyper: dict[str, Any]) -> Any:
    lr = hyper.pop("lr")
    hyper = {"eps": 1e-3, **_b(hyper)}
    return optax.chain(optax.scale_by_yogi(**hyper), optax.scale(-lr))


TORCH: dict[str, Callable[[Any, list[Any], dict[str, Any]], Any]] = {
    "sgd": lambda optim, x, h: optim.SGD(x, **h),
    "momentum": lambda optim, x, h: optim.SGD(x, **_renamed({"beta": 0.9, **h}, beta="momentum")),
    "nesterov": lambda optim, x, h: optim.SGD(x, nesterov=True, **_renamed({"beta": 0.9, **h}, beta="momentum")),
    "adagrad": lambda optim, x, h: optim.Adagrad(x, **h),
    "rmsprop": lambda optim, x, h: optim.RMSprop(x, **_renamed(h, beta="momentum")),
    "adadelta": lambda optim, x, h: optim.Adadelta(x, **h),
    "adam": lambda optim, x, h: optim.Adam(x, **_betas(h)),
    "adamw": lambda optim, x, h: optim.AdamW(x, **_betas(h)),
    "adamax": lambda optim, x, h: optim.Adamax(x, **_betas(h)),
    "nadam": lambda optim, x, h: optim.NAdam(x, **_betas(h)),
    "radam": lambda optim, x, h: optim.RAdam(x, **_betas(h)),
    "rprop": lambda optim, x, h: optim.Rprop(
        x,
        lr=h["lr"],
        etas=(h.get("eta_minus", 0.5), h.get("eta_plus", 1.2)),
        step_sizes=(h.get("min_step", 1e-6), h.get("max_step", 50)),
    ),
}

OPTAX: dict[str, Callable[[Any, dict[str, Any]], Any]] = {
    "sgd": lambda optax, h: _decayed(optax, h, lambda h: optax.sgd(h["lr"])),
    "momentum": lambda optax, h: _decayed(
        optax,
        h,
        lambda h: optax.chain(optax.scale(1 - h.get("dampening", 0.0)), optax.trace(h["beta"]), optax.scale(-h["lr"])),
    ),
    "nesterov": lambda optax, h: _decayed(optax, h, lambda h: optax.sgd(h["lr"], h.get("beta", 0.9), nesterov=True)),
    "momentum_ema": lambda optax, h: optax.chain(optax.ema(h.get("beta", 0.9), debias=False), optax.scale(-h["lr"])),
    "signum": lambda optax, h: optax.signum(h["lr"], h.get("beta", 0.9)),
    "adagrad": lambda optax, h: _decayed(optax, h, lambda h: optax.adagrad(**_b(h))),
    "rmsprop": lambda optax, h: _decayed(
        optax, h, lambda h: optax.rmsprop(**_renamed(h, lr="learning_rate", alpha="decay", beta="momentum"))
    ),
    "adadelta": lambda optax, h: optax.adadelta(**_b(h)),
    "adam": lambda optax, h: _decayed(
        optax, h, lambda h: optax.amsgrad(**_b(h)) if h.pop("amsgrad", False) else optax.adam(**_b(h))
    ),
    "adamw": lambda optax, h: optax.adamw(**_b(h)),
    "adamax": lambda optax, h: _decayed(optax, h, lambda h: optax.adamax(**_b(h))),
    "nadam": lambda optax, h: _decayed(optax, h, lambda h: optax.nadam(**_b(h))),
    "radam": lambda optax, h: _decayed(optax, h, lambda h: optax.radam(**_b(h))),
    "adabelief": lambda optax, h: optax.adabelief(**_b(h)),
    "yogi": _yogi,
    "lion": lambda optax, h: optax.lion(**_b(h)),
    "adan": lambda optax, h: optax.adan(**_b(h)),
    "schedule_free_sgd": lambda optax, h: optax.contrib.schedule_free_sgd(**_renamed(h, lr="learning_rate", beta="b1")),
    "schedule_free_adamw": lambda optax, h: optax.contrib.schedule_free_adamw(**_b(h)),
    # Only at lr = 1: optax divides by its `scaling` where its documentation multiplies.
    "polyak_step": lambda optax, h: optax.polyak_sgd(max_learning_rate=h.get("max_step", 1.0), f_min=0.0),
}
