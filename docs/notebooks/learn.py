# %% [markdown]
# # Momentum in a ravine
#
# Gradient descent on a badly conditioned function is slow. This notebook shows why, how momentum helps, and why too
# much of it hurts. It needs `pip install momentumlab` only.

# %%
import momentumlab

result = momentumlab.run(surface="ravine", optimizer="momentum", lr=0.1, beta=[0.0, 0.8, 0.9], iterations=50)
result

# %% [markdown]
# The *rate* is the factor by which the distance to the minimum shrinks per iteration. It was measured; the prediction
# comes from the eigenvalues of the linear map that one iteration applies to position and velocity. The trajectories
# show the three regimes: slow, fast, overshooting.

# %%
result.plot_trajectories()

# %% [markdown]
# The velocities explain why β = 0.9 is slower than 0.8: along the floor of the ravine the iterate gains so much speed
# that it passes the minimum.

# %%
result.plot_velocities(theory=True)

# %% [markdown]
# ## Which β is best?
#
# The prediction needs no run. In the underdamped regime the rate is √β, so a smaller β is faster until a direction
# becomes overdamped.

# %%
for prediction in momentumlab.predict(surface="ravine", optimizer="momentum", lr=0.1, beta=[0.5, 0.7, 0.8, 0.9]):
    print(f"β = {prediction.trial.hyperparameters['beta']}: rate {prediction.nearest.rate:.4f}")

# %% [markdown]
# ## The whole plane
#
# A sweep runs every combination of learning rate and β. The map counts the iterations until the loss has settled.

# %%
sweep = momentumlab.sweep(
    surface="ravine",
    optimizer="momentum",
    lr="geomspace(1e-3, 0.3, 60)",
    beta="linspace(0, 0.99, 60)",
    iterations=1000,
    tolerance=1e-10,
)
best = sweep.best()
print(f"fastest: lr = {best['lr']:.3g}, β = {best['beta']:.3g}")
sweep.plot_map(theory=True)

# %% [markdown]
# ## Try it
#
# Select any point of the map: the page computes nothing and needs no server, because every trajectory is in it.

# %%
momentumlab.explore(surface="ravine", optimizer="momentum", lr=0.1, beta=[0.0, 0.8, 0.9], iterations=30)
