"""
How far can you trust the probabilities?
========================================

Of the cases to which a model gives 80 %, eight in ten should be right. This example draws a
reliability diagram of the network beside four models of scikit-learn, all with their defaults.
"""

# %%
# The data are made up, so that the true probability of each row is known. It depends on three of
# the eight columns.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from sknn_scratch import ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

rng = np.random.default_rng(0)
X = rng.normal(size=(6000, 8))
truth = 1 / (1 + np.exp(-2 * np.sin(2 * X[:, 0]) - X[:, 1] * X[:, 2]))
y = rng.uniform(size=len(X)) < truth
train, test = slice(0, 1000), slice(1000, None)

# %%
# No model can do better than the true probabilities. Their Brier score is what is left to chance.

models = {
    "ScratchMLPClassifier": ScratchMLPClassifier(random_state=0),
    "MLPClassifier": MLPClassifier(random_state=0),
    "random forest": RandomForestClassifier(random_state=0),
    "boosted trees": HistGradientBoostingClassifier(random_state=0),
    "logistic regression": LogisticRegression(),
}
p = {}
for name, model in models.items():
    # Threads of the boosted trees would wait for each other on a busy machine.
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # MLPClassifier's 200 epochs are few
        p[name] = model.fit(X[train], y[train]).predict_proba(X[test])[:, 1]
brier = {name: brier_score_loss(y[test], p[name]) for name in models}
print(f"{'truth':22} {brier_score_loss(y[test], truth[test]):.3f}")
for name in models:
    print(f"{name:22} {brier[name]:.3f}")

# %%
# Each point stands for a tenth of the new rows: how probable the model said the class was, and how
# often it was there. On the diagonal, what is said comes true. A curve flatter than the diagonal
# belongs to a model that is too sure of itself, a steeper one to a model that is not sure enough.

figure, axes = plt.subplots(1, 5, figsize=(10, 3), layout="constrained", sharex=True, sharey=True)
for i, (ax, name) in enumerate(zip(axes, models, strict=True)):
    came_true, said = calibration_curve(y[test], p[name], n_bins=10, strategy="quantile")
    ax.plot([0, 1], [0, 1], "--", color="#666b82", linewidth=1)
    ax.plot(said, came_true, "o-", color=f"C{i}")
    ax.set_title(f"{name}\nBrier score {brier[name]:.3f}", fontsize=9)
    ax.set(xlabel="Probability given", aspect="equal")
axes[0].set_ylabel("Fraction that came true")
plt.show()

# %%
# .. seealso:: :doc:`/guide/probabilities` says how to measure and to improve this on your table.
