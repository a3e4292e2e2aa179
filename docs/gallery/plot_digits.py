"""
Weights as images
=================

When the columns are the pixels of an image, each hidden unit is an image too. This example shows
which pixels the units of a network for handwritten digits look at, and which digits it mistakes.
"""

# %%
# The digits are images of 8 by 8 pixels. Half of them are for training.

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sknn_scratch import NetworkDisplay, ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, stratify=y, random_state=0)
clf = ScratchMLPClassifier(random_state=0).fit(X_train, y_train)
print(f"accuracy on new digits: {clf.score(X_test, y_test):.2f}")

# %%
# Of the 200 hidden units, the picture shows the twelve with the largest effect. A unit becomes
# active where the image is bright on its indigo pixels and dark on its red ones. The map on the
# right says which digits the unit then speaks for (indigo) or against (red).

display = NetworkDisplay.from_estimator(clf, image_shape=(8, 8))
display.figure_.suptitle("Units as images, and the digits they speak for", y=1.06)
plt.show()

# %%
# The wrong predictions of which the network was most sure, with the true digit and the prediction:

p = clf.predict_proba(X_test)
predicted = clf.predict(X_test)
wrong = (predicted != y_test).nonzero()[0]
surest = wrong[p[wrong].max(axis=1).argsort()[::-1][:8]]

figure, axes = plt.subplots(1, 8, figsize=(9, 1.8), layout="constrained")
for ax in axes:
    ax.axis("off")
for ax, row in zip(axes, surest, strict=False):
    ax.imshow(X_test[row].reshape(8, 8), cmap="Greys")
    ax.set_title(f"{y_test[row]}, not {predicted[row]}\np = {p[row].max():.2f}", fontsize=9)
plt.show()
