"""Regenerate data_problems.npz: scikit-learn's minima of logistic losses, PyTorch's losses and gradients of a network.

Run with scikit-learn 1.9.1 and PyTorch 2.13.0 installed: ``python -m tests.golden.generate_data_problems``. Neither is
needed by the tests.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from momentumlab.surfaces import SURFACES

FOLDER = Path(__file__).parent
L2 = 0.01


def matrices(name: str, data: str, **parameters: Any) -> tuple[Any, Any, Any]:
    made: Any = SURFACES[name]
    surface = made(data=data, **parameters)
    return surface, surface.design.features, surface.design.targets


def main() -> None:
    kept: dict[str, Any] = {}
    # scikit-learn minimises the sum over rows with |w|²/2 and a weight C on the losses; our mean, so C = 1/(n l2).
    for name, data in (("logistic", "two_moons"), ("softmax", "iris"), ("softmax", "wine")):
        _, features, targets = matrices(name, data)
        labels = targets[:, 0] if name == "logistic" else targets.argmax(axis=1)
        fit = LogisticRegression(C=1 / (len(features) * L2), fit_intercept=False, tol=1e-14, max_iter=100_000)
        kept[f"{name}-{data}"] = fit.fit(features, labels).coef_.T.ravel()
    _, features, targets = matrices("least_squares", "wine")
    ridge = Ridge(alpha=len(features) * L2, fit_intercept=False, solver="cholesky")
    kept["least_squares-wine"] = ridge.fit(features, targets[:, 0]).coef_

    for data, hidden in (("two_moons", 5), ("iris", 3)):
        surface, features, targets = matrices("mlp", data, hidden=hidden, l2=L2)
        points = np.random.default_rng(7).normal(size=(surface.required_dimension, 4))
        losses, gradients, hessians = [], [], []
        for point in points.T:
            loss_of = torch_loss(features, targets, hidden)
            x = torch.tensor(point, requires_grad=True)
            loss = loss_of(x)
            (gradient,) = torch.autograd.grad(loss, x)
            losses.append(loss.item())
            gradients.append(gradient.numpy())
            hessians.append(torch.autograd.functional.hessian(loss_of, torch.tensor(point)).numpy())
        kept[f"mlp-{data}-points"] = points
        kept[f"mlp-{data}-losses"] = np.array(losses)
        kept[f"mlp-{data}-gradients"] = np.stack(gradients, axis=1)
        kept[f"mlp-{data}-hessians"] = np.stack(hessians, axis=2)
    np.savez_compressed(FOLDER / "data_problems.npz", **kept)


def torch_loss(features: Any, targets: Any, hidden: int) -> Any:
    inputs, outputs = torch.tensor(features), torch.tensor(targets.argmax(axis=1))
    classes = targets.shape[1]

    def loss(x: Any) -> Any:
        first = inputs.shape[1] * hidden
        u = x[:first].reshape(-1, hidden)
        v = x[first : first + hidden * classes].reshape(hidden, classes)
        scores = torch.tanh(inputs @ u) @ v + x[first + hidden * classes :]
        return torch.nn.functional.cross_entropy(scores, outputs) + L2 / 2 * (x * x).sum()

    return loss


if __name__ == "__main__":
    main()
