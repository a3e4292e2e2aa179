"""
A callback of your own
======================

A callback sees the network after each epoch. This example writes one that keeps the decision
boundary, and draws how it takes shape.
"""

# %%
# A callback is an object with four methods. This one keeps the probabilities at the points of a
# grid. It also ends training: when it returns True, which it does once all rows have been right for
# twenty epochs. Callbacks of your own need scikit-learn 1.9 or newer.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from sklearn.datasets import make_circles

from sknn_scratch import ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

X, y = make_circles(300, noise=0.1, factor=0.4, random_state=0)
x0, x1 = np.meshgrid(np.linspace(-1.5, 1.5, 100), np.linspace(-1.5, 1.5, 100))


class BoundaryKeeper:
    """Keep the probabilities in the plane, and stop when all rows stay right."""

    def setup(self, estimator, context):
        """Before anything else."""
        self.planes, self.scores = [], []

    def on_fit_task_begin(self, estimator, context):
        """Before an epoch, and before the first of them."""

    def on_fit_task_end(self, estimator, context, *, X, y, fitted_estimator):
        """After an epoch, and after the last of them."""
        if context.task_name != "epoch":
            return False
        points = np.column_stack([x0.ravel(), x1.ravel()])
        self.planes.append(fitted_estimator.predict_proba(points)[:, 1].reshape(x0.shape))
        self.scores.append(fitted_estimator.score(X, y))
        return len(self.scores) >= 20 and min(self.scores[-20:]) == 1

    def teardown(self, estimator, context):
        """At the end, also if the fit has failed."""


# %%
# Set it, and fit.

keeper = BoundaryKeeper()
clf = ScratchMLPClassifier((8,), random_state=0).set_callbacks(keeper).fit(X, y)
print(f"{clf.n_iter_} epochs; reason of the end: {clf.stop_reason_}")

# %%
# Five of the epochs. The line is where the prediction changes.

epochs = np.unique(np.geomspace(1, clf.n_iter_, 5).round().astype(int))
colors = LinearSegmentedColormap.from_list("classes", ["#7fb8d8", "white", "#f2cf7f"])

figure, axes = plt.subplots(1, len(epochs), figsize=(11, 2.7), layout="constrained", sharey=True)
for ax, epoch in zip(axes, epochs, strict=True):
    plane = keeper.planes[epoch - 1]
    ax.contourf(x0, x1, plane, levels=np.linspace(0, 1, 11), cmap=colors)
    ax.contour(x0, x1, plane, levels=[0.5], colors="#23263b")
    for label, marker in enumerate("os"):
        rows = X[y == label]
        ax.scatter(*rows.T, s=14, marker=marker, edgecolors="white", linewidths=0.4)
    ax.set_title(f"Epoch {epoch}: {keeper.scores[epoch - 1]:.0%} right", fontsize=10)
    ax.set(aspect="equal", xticks=[], yticks=[])
plt.show()

# %%
# .. seealso:: :doc:`/guide/callbacks` says what a callback is told.
