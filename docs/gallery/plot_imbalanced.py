"""
Imbalanced classes
==================

One row in fifty belongs to the class that matters. This example compares what a network decides by
itself, with balanced class weights, and with a threshold that follows the costs of mistakes.
"""

# %%
# Two clouds that overlap. A missed row of the rare class costs twenty times as much as a false
# alarm.

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from sklearn.metrics import confusion_matrix
from sklearn.model_selection import FixedThresholdClassifier, train_test_split

from sknn_scratch import ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

rng = np.random.default_rng(0)
y = (rng.uniform(size=6000) < 0.02).astype(int)
X = rng.normal(size=(6000, 2)) + np.where(y[:, None], [[1.0, 1.0]], [[-0.5, -0.5]])
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)

# %%
# By default, the network predicts the class that is more probable than not. That is right if all
# mistakes cost the same, and here it finds few of the rare rows. Two ways to find more:
#
# - ``class_weight="balanced"`` trains as if both classes had as many rows. Its probabilities are
#   those of such a world, and no longer those of yours.
# - A threshold leaves the probabilities as they are, and decides by the costs: predict the rare
#   class where its probability is above 1 / (1 + 20).

net = ScratchMLPClassifier(random_state=0)
balanced = ScratchMLPClassifier(class_weight="balanced", random_state=0)
models = {
    "as it is": net.fit(X_train, y_train),
    "class_weight='balanced'": balanced.fit(X_train, y_train),
    "threshold 1 / 21": FixedThresholdClassifier(net, threshold=1 / 21).fit(X_train, y_train),
}
for name, model in models.items():
    (_, alarms), (missed, found) = confusion_matrix(y_test, model.predict(X_test))
    cost = 20 * missed + alarms
    print(f"{name:24} found {found:2}, missed {missed:2}, false alarms {alarms:3}, cost {cost:4}")

# %%
# The line is where each model changes its mind, and the colour is the probability that it gives.

colors = LinearSegmentedColormap.from_list("classes", ["#7fb8d8", "white", "#f2cf7f"])
x0, x1 = np.meshgrid(np.linspace(-4.5, 4.5, 200), np.linspace(-4.5, 4.5, 200))
plane = np.column_stack([x0.ravel(), x1.ravel()])

figure, axes = plt.subplots(1, 3, figsize=(10, 3.7), layout="constrained", sharey=True)
for ax, (name, model) in zip(axes, models.items(), strict=True):
    probability = model.predict_proba(plane)[:, 1].reshape(x0.shape)
    image = ax.contourf(x0, x1, probability, levels=np.linspace(0, 1, 11), cmap=colors)
    ax.contour(x0, x1, model.predict(plane).reshape(x0.shape), levels=[0.5], colors="#23263b")
    ax.plot(*X_test[y_test == 0].T, ".", color="#0072b2", markersize=2, alpha=0.4)
    ax.plot(*X_test[y_test == 1].T, "s", color="#e69f00", markersize=5, markeredgecolor="white")
    ax.set(title=name, xlabel="x0", aspect="equal")
axes[0].set_ylabel("x1")
figure.colorbar(image, ax=axes, label="Probability of the rare class", ticks=[0, 0.5, 1])
plt.show()

# %%
# .. seealso:: :doc:`/guide/imbalanced` says how to choose between them, and how to measure it.
