"""The ravine figures as one plain script makes them: a Python loop per β, pyplot, a fine mesh, a figure per picture.

What `cold_run.py` compares with. Usage: python classic_script.py FOLDER
"""

import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

folder = Path(sys.argv[1])


def loss(w):
    return w[0] ** 2 / 16 + 9 * w[1] ** 2


def gradient(w):
    return np.array([w[0] / 8, 18 * w[1]])


def descend(beta, lr=0.1, iterations=50):
    w, v = np.array([-2.4, 0.2]), np.zeros(2)
    path, velocities = [w], [v]
    for _ in range(iterations):
        v = beta * v + gradient(w)
        w = w - lr * v
        path.append(w)
        velocities.append(v)
    return np.array(path), np.array(velocities)


betas = [0.0, 0.8, 0.9]
runs = {beta: descend(beta) for beta in betas}
x, y = np.meshgrid(np.linspace(-3, 3, 1000), np.linspace(-1, 1, 1000))

for beta, (path, _) in runs.items():
    plt.figure(figsize=(8, 5))
    plt.contour(x, y, loss([x, y]), levels=50)
    plt.plot(path[:, 0], path[:, 1], "o-", color="red")
    plt.title(f"beta = {beta}, loss = {loss(path[-1]):.3g}")
    plt.savefig(folder / f"path_{beta}.png")
    plt.close()

for coordinate, name in enumerate("xy"):
    plt.figure(figsize=(8, 5))
    for beta, (_, velocities) in runs.items():
        plt.plot(velocities[:, coordinate], label=f"beta = {beta}")
    plt.legend()
    plt.title(f"velocity along {name}")
    plt.savefig(folder / f"velocity_{name}.png")
    plt.close()
