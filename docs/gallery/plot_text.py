"""
Sparse text
===========

A sparse matrix of word weights goes into the network as it is. This example tells from the
docstring of an estimator whether it classifies, regresses, clusters or transforms, and shows the
words that give it away.
"""

# %%
# The texts are those of scikit-learn itself: what its estimators say about their purpose, without
# the lists of parameters.

import inspect
import warnings

import matplotlib.pyplot as plt
import numpy as np
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.utils import all_estimators

from sknn_scratch import ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

texts, kinds = [], []
with warnings.catch_warnings():
    warnings.simplefilter("ignore", FutureWarning)
    for kind in ("classifier", "regressor", "cluster", "transformer"):
        for _, estimator in all_estimators(type_filter=kind):
            texts.append(inspect.getdoc(estimator).split("Parameters\n---")[0])
            kinds.append(kind)
print(f"{len(texts)} texts; one of them:\n\n{texts[3].strip()[:300]}")

# %%
# ``TfidfVectorizer`` makes a sparse matrix of them, in which nearly all entries are zero. The
# network keeps it sparse: columns that are mostly zero are scaled, and not centred.

model = make_pipeline(
    TfidfVectorizer(stop_words="english", token_pattern=r"[A-Za-z]{3,}", min_df=3),
    ScratchMLPClassifier((50,), random_state=0),
)
predicted = cross_val_predict(model, texts, kinds, cv=5)
most = max(np.unique(kinds, return_counts=True)[1]) / len(kinds)
print(f"accuracy {np.mean(predicted == np.array(kinds)):.2f}; the most frequent kind: {most:.2f}")

# %%
# What does each word stand for? Ask the network about a text of that word alone, and compare it
# with its answer to an empty text.

model.fit(texts, kinds)
words = model[0].get_feature_names_out()
effect = model.predict_proba(words) - model.predict_proba([""])
classes = model.classes_

figure, axes = plt.subplots(1, 4, figsize=(10, 3.2), layout="constrained", sharex=True)
for i, (ax, kind) in enumerate(zip(axes, classes, strict=True)):
    top = effect[:, i].argsort()[-8:]
    ax.barh(words[top], effect[top, i], color=f"C{i}")
    ax.set_title(kind)
figure.supxlabel("Probability that the word adds", fontsize=10)
plt.show()

# %%
# .. seealso:: :doc:`/guide/text` says what to watch with many sparse columns.
