"""
A stacked search
================

One line around a search trains its networks as stacks. This example runs the same search with it
and without it, and compares the seconds and the scores.
"""

# %%
# Eighteen fits of small networks, first as scikit-learn runs them, one after the other:

from time import perf_counter

import matplotlib.pyplot as plt
from joblib import parallel_config
from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV

from sknn_scratch import ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

X, y = load_wine(return_X_y=True)
grid = {"learning_rate_init": [0.05, 0.1], "weight_decay": [0, 0.1, "auto"]}
net = ScratchMLPClassifier((8,), random_state=0)
search = GridSearchCV(net, grid, scoring="neg_log_loss", cv=3)

start = perf_counter()
search.fit(X, y)
seconds = {"plain": perf_counter() - start}
scores = {"plain": search.cv_results_["mean_test_score"]}

# %%
# Then as stacks. ``n_jobs=1`` keeps both searches on one core; by default, a stacked search uses
# all cores.

start = perf_counter()
with parallel_config(backend="stacked", n_jobs=1):
    search.fit(X, y)
seconds["stacked"] = perf_counter() - start
scores["stacked"] = search.cv_results_["mean_test_score"]
print(f"{seconds['plain'] / seconds['stacked']:.1f} times as fast")

# %%
# The scores are the same, up to rounding. The seconds are those of the machine that made this page.

figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
bars = left.barh(list(seconds), list(seconds.values()), color=["#6b7085", "#3b4a9c"])
left.bar_label(bars, fmt="%.1f s", padding=3)
left.margins(x=0.2)
left.set(xlabel="Seconds, one core", title="The same search, 18 fits")
right.plot(-scores["plain"], -scores["stacked"], "o", color="#3b4a9c")
right.axline((0.1, 0.1), slope=1, color="#666b82", linestyle="--", zorder=0)
right.set(xlabel="Log loss, plain", ylabel="Log loss, stacked", title="Scores of the candidates")
plt.show()

# %%
# .. seealso:: :doc:`/guide/stacked_search` says how it works, and when it pays.
