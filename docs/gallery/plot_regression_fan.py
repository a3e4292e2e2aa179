"""
Regression with a fan of networks
=================================

Networks that start from different random weights agree where there are rows, and less where there
are none. This example fits twenty of them to a noisy curve and draws the fan.
"""

# %%
# Two hundred rows of one column. In the middle there are none, nor beyond the ends. The noise has a
# standard deviation of 0.2.

import matplotlib.pyplot as plt
import numpy as np
from joblib import parallel_config
from sklearn.ensemble import BaggingRegressor

from sknn_scratch import ScratchMLPRegressor

plt.style.use("sknn_scratch.pictures")

rng = np.random.default_rng(0)
x = np.concatenate([rng.uniform(-3, -0.8, 100), rng.uniform(0.8, 3, 100)])
y = np.sin(2 * x) + 0.5 * x + rng.normal(scale=0.2, size=len(x))

# %%
# ``BaggingRegressor`` gives each of the twenty networks a random state and a bootstrap sample of
# the rows. The networks have one shape: ``parallel_config(backend="stacked")`` trains them
# together.

fan = BaggingRegressor(ScratchMLPRegressor(), n_estimators=20, random_state=0)
with parallel_config(backend="stacked", n_jobs=1):
    fan.fit(x[:, None], y)

# %%
# Each thin line is a network, the thick one their mean. The spread is largest in the gap. It
# is not the noise of y: among the rows it is much smaller than that. And it is not the error far
# out: beyond the last row all networks level off, and agree on what is wrong.

grid = np.linspace(-4.5, 4.5, 300)
lines = np.array([net.predict(grid[:, None]) for net in fan.estimators_])
for name, place in {"among the rows": 2.0, "in the gap": 0.0, "beyond the last": 4.0}.items():
    at_place = lines[:, np.abs(grid - place).argmin()]
    error = at_place.mean() - (np.sin(2 * place) + 0.5 * place)
    print(f"{name:16} spread {at_place.std():.2f}, error {abs(error):.2f}")

figure, ax = plt.subplots(figsize=(7, 4.4), layout="constrained")
ax.plot(grid, lines.T, color="#56b4e9", linewidth=0.7, alpha=0.7)
ax.plot(grid, lines.mean(axis=0), color="#3b4a9c", linewidth=2.5, label="mean of 20 networks")
ax.plot(grid, np.sin(2 * grid) + 0.5 * grid, "--", color="#666b82", label="true curve")
ax.plot(x, y, "o", color="#e69f00", markersize=3.5, label="rows")
ax.set(xlabel="x", ylabel="y", title="A fan of networks")
ax.legend()
plt.show()

# %%
# .. seealso:: :doc:`/guide/regression`, and :doc:`/guide/several_networks` for classes.
