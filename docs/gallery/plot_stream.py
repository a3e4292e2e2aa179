"""
Learn from a stream
===================

``partial_fit`` learns from rows as they come, and needs none of them again. This example learns
from a stream in parts, predicts each part before it learns from it, and compares the errors with
the best that is possible.
"""

# %%
# A source that yields 500 rows at a time. It also knows the true probabilities, so that we know
# what no model can beat.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import SGDClassifier
from sklearn.metrics import brier_score_loss

from sknn_scratch import ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")


def parts(n_parts, seed):
    """Yield rows, their classes, and the true probabilities of class 1."""
    rng = np.random.default_rng(seed)
    for _ in range(n_parts):
        X = rng.uniform(-2, 2, size=(500, 4))
        p = 1 / (1 + np.exp(-4 * np.sin(2 * X[:, 0]) * X[:, 1]))
        yield 100 + 20 * X, (rng.uniform(size=500) < p).astype(int), p


# %%
# A stream has no planned end, so the learning rate does not fall by itself: lower it from call to
# call. The columns have a mean of 100 and are not scaled; the network learns their scale from the
# first 1,000 rows.

net = ScratchMLPClassifier((50,), random_state=0)
linear = SGDClassifier(loss="log_loss", average=True, random_state=0)
brier = {"network": [], "linear model": [], "true probabilities": []}

for i, (X, y, p) in enumerate(parts(120, seed=0)):
    if i:  # predict before you learn: these rows are new
        brier["network"].append(brier_score_loss(y, net.predict_proba(X)[:, 1]))
        guess = linear.predict_proba((X - 100) / 20)[:, 1]
        brier["linear model"].append(brier_score_loss(y, guess))
        brier["true probabilities"].append(brier_score_loss(y, p))
    net.set_params(learning_rate_init=0.02 / (1 + i / 20))
    net.partial_fit(X, y, classes=[0, 1])
    linear.partial_fit((X - 100) / 20, y, classes=[0, 1])

for name, scores in brier.items():
    print(f"{name:18} Brier score of the last ten parts: {np.mean(scores[-10:]):.3f}")

# %%
# Each point is the mean of five parts, before the model had seen them. No line separates these
# classes, so the linear model stays at a quarter, the score of saying 50 % each time. The network
# comes nearer to the true probabilities from part to part.

figure, ax = plt.subplots(layout="constrained")
seen = 500 * np.arange(1, 120)
styles = {"network": "o-", "linear model": "s-", "true probabilities": "--"}
for (name, scores), color in zip(brier.items(), ["#3b4a9c", "#e69f00", "#666b82"], strict=True):
    means = np.array(scores[-115:]).reshape(-1, 5).mean(axis=1)
    ax.plot(seen[-115::5], means, styles[name], color=color, markersize=4, label=name)
ax.set(xlabel="Rows seen", ylabel="Brier score on rows to come", ylim=0)
ax.set_title("Learning from a stream")
ax.legend()
plt.show()

# %%
# .. seealso:: :doc:`/guide/out_of_core` trains on a table larger than memory in this way.
