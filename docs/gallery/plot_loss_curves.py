"""
Read the loss curves
====================

The loss of each epoch says whether the learning rate suits and when a network begins to overfit.
This example draws the curves of several rates, and those of a fit that is stopped early.
"""

# %%
# A quarter of a table of measurements of tumours is set aside for validation.

import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sknn_scratch import LossCurveDisplay, ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

X, y = load_breast_cancer(return_X_y=True)
X_train, X_val, y_train, y_val = train_test_split(X, y, stratify=y, random_state=0)

# %%
# The same network at four learning rates, of which "auto" is 0.01. The lowest is still on its way
# when training ends, and ``fit`` warns of that. The highest jumps about, and then learns its rows
# by heart. A low training loss is not yet a good network, as the log loss on the validation rows
# shows.

fits = {}
for rate in (0.0003, 0.003, "auto", 0.1):
    clf = ScratchMLPClassifier(learning_rate_init=rate, max_iter=60, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits[rate] = clf.fit(X_train, y_train)
    validation = log_loss(y_val, clf.predict_proba(X_val))
    print(f"rate {rate:6} training loss {clf.loss_:.4f}, validation log loss {validation:.2f}")

display = LossCurveDisplay.from_estimators(fits)
display.ax_.get_legend().set_title("learning_rate_init")
display.ax_.set_title("Four learning rates")
plt.show()

# %%
# With validation rows there are two curves. While both fall, the network learns. When the loss on
# the validation rows rises and that of training still falls, it overfits. ``early_stopping`` goes
# back to the best epoch, which a dot marks.

stopped = ScratchMLPClassifier(
    early_stopping=True,
    scoring="loss",
    n_iter_no_change=20,
    weight_decay=0,
    random_state=0,
)
stopped.fit(X_train, y_train, X_val=X_val, y_val=y_val)
print(f"stopped after {stopped.n_iter_} epochs, and went back to {stopped.best_iter_}")

LossCurveDisplay.from_estimator(stopped).ax_.set_title("Stopped early")
plt.show()

# %%
# .. seealso:: :doc:`/guide/overfitting`, :doc:`/guide/early_stopping`, and :doc:`/guide/pictures`.
