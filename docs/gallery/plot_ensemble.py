"""
Where several networks disagree
===============================

An ensemble of networks knows two things: how probable a class is, and how far its networks agree on
that. This example draws both as maps.
"""

# %%
# Two moons, and an ensemble of eight networks. Half of them see the columns as they are, the other
# half see them cut into bins.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from sklearn.datasets import make_moons

from sknn_scratch import ScratchMLPEnsembleClassifier

plt.style.use("sknn_scratch.pictures")

X, y = make_moons(300, noise=0.2, random_state=0)
ensemble = ScratchMLPEnsembleClassifier(8, random_state=0).fit(X, y)

x0, x1 = np.meshgrid(np.linspace(-3, 4, 150), np.linspace(-2.5, 3, 150))
plane = np.column_stack([x0.ravel(), x1.ravel()])
each = np.array([network.predict_proba(plane)[:, 1] for network in ensemble.networks_])
mean, spread = each.mean(axis=0), each.std(axis=0)
print("mean of the networks:", np.allclose(mean, ensemble.predict_proba(plane)[:, 1], atol=1e-6))

# %%
# On the left, the ensemble is unsure along the boundary between the moons. On the right, its
# networks agree on that boundary where there are rows, and disagree on how it goes on where there
# are none.

figure, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained", sharey=True)
classes = LinearSegmentedColormap.from_list("classes", ["#7fb8d8", "white", "#f2cf7f"])
indigo = LinearSegmentedColormap.from_list("indigo", ["white", "#3b4a9c"])
maps = {
    "Mean probability of class 1": (mean, classes, np.linspace(0, 1, 11)),
    "Standard deviation over the networks": (spread, indigo, np.linspace(0, 0.5, 11)),
}
for ax, (name, (values, colors, levels)) in zip(axes, maps.items(), strict=True):
    image = ax.contourf(x0, x1, values.reshape(x0.shape), levels=levels, cmap=colors)
    for label, marker in enumerate("os"):
        ax.scatter(*X[y == label].T, s=12, marker=marker, edgecolors="white", linewidths=0.4)
    ax.set(title=name, xlabel="x0", aspect="equal")
    figure.colorbar(image, ax=ax, ticks=levels[::5])
axes[0].set_ylabel("x1")
plt.show()

# %%
# .. seealso:: :doc:`/guide/several_networks` says what an ensemble gains.
