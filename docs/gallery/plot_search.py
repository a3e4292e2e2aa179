"""
A heat map of a grid search
===========================

This example searches the number of hidden units and the learning rate of a network, and draws the
scores as a heat map.
"""

# %%
# A search of twenty candidates with three folds each, on two moons that overlap.
# ``parallel_config(backend="stacked")`` trains their networks together, see
# :ref:`sphx_glr_auto_gallery_plot_stacked_search.py`. The Brier score is the squared error of the
# probabilities. Lower is better, so scikit-learn scores its negative.

import warnings

import matplotlib.pyplot as plt
import numpy as np
from joblib import parallel_config
from matplotlib.colors import LinearSegmentedColormap
from sklearn.datasets import make_moons
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV

from sknn_scratch import ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

X, y = make_moons(300, noise=0.25, random_state=0)
units = [2, 8, 32, 128]
rates = [0.01, 0.03, 0.1, 0.3, 1.0]
search = GridSearchCV(
    ScratchMLPClassifier(max_iter=100, random_state=0),
    {"hidden_layer_sizes": units, "learning_rate_init": rates},
    scoring="neg_brier_score",
    cv=3,
)
with parallel_config(backend="stacked", n_jobs=1), warnings.catch_warnings():
    warnings.simplefilter(
        "ignore", ConvergenceWarning
    )  # the corners of the grid are bad, and say so
    search.fit(X, y)
print(search.best_params_)

# %%
# The rows of the map are the units, its columns the learning rates, and a frame marks the best
# candidate. Look at what is around it. If the best lies at the edge of the grid, widen the grid. If
# its neighbours are as good within the spread, the choice among them is chance. And a
# network of many units does not stand a rate that one of few units needs:
# ``learning_rate_init="auto"`` follows this diagonal.

brier = -search.cv_results_["mean_test_score"].reshape(len(units), len(rates))
spread = search.cv_results_["std_test_score"].reshape(len(units), len(rates))

figure, ax = plt.subplots(figsize=(6.4, 4.4), layout="constrained")
indigo = LinearSegmentedColormap.from_list("indigo", ["white", "#3b4a9c"])
image = ax.imshow(brier, cmap=indigo, norm="log")
for i, j in np.ndindex(brier.shape):
    color = "white" if image.norm(brier[i, j]) > 0.5 else "black"
    text = f"{brier[i, j]:.3f}\n± {spread[i, j]:.3f}"
    ax.text(j, i, text, ha="center", va="center", color=color, fontsize=8)
best = np.unravel_index(brier.argmin(), brier.shape)
ax.add_patch(plt.Rectangle((best[1] - 0.5, best[0] - 0.5), 1, 1, fill=False, ec="#d55e00", lw=3))
ax.set_xticks(range(len(rates)), rates)
ax.set_yticks(range(len(units)), units)
ax.set(xlabel="learning_rate_init", ylabel="hidden_layer_sizes")
ax.set_title("Brier score, mean and spread over the folds")
plt.show()

# %%
# .. seealso:: :doc:`/guide/units_and_rate` says when such a search pays.
