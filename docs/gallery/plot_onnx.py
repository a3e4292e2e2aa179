"""
Deploy a network with ONNX
==========================

ONNX is a file format for fitted models, which many languages can run. This example converts a
network, and compares probabilities and speed with those of the network in Python.
"""

# %%
# Fit a network to a table of thirty columns. The extra ``onnx`` of the package brings what is
# needed here: ``python -m pip install ".[onnx]"``.

from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from onnxruntime import InferenceSession
from skl2onnx import to_onnx
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import train_test_split

import sknn_scratch.onnx  # noqa: F401 - registers the network with skl2onnx
from sknn_scratch import ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

X, y = load_breast_cancer(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)
clf = ScratchMLPClassifier(random_state=0).fit(X_train, y_train)

# %%
# Convert it. The graph scales the columns too, and computes in the type of the row that you show
# it.

graph = to_onnx(clf, X_train[:1], options={"zipmap": False})
session = InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
label, probabilities = session.run(None, {"X": X_test})

difference = np.abs(probabilities - clf.predict_proba(X_test)).max()
print(f"size of the file: {len(graph.SerializeToString()) / 1024:.0f} kB")
print(f"largest difference of a probability below 1e-5: {difference < 1e-5}")

# %%
# A service often predicts one row at a time, a nightly job many at once. How long does a row take
# in each case?


def microseconds(predict, rows):
    """Return the median time of a call, divided by its number of rows."""
    times = []
    for _ in range(20):
        start = perf_counter()
        predict(rows)
        times.append(perf_counter() - start)
    return 1e6 * np.median(times) / len(rows)


ways = {"predict_proba": clf.predict_proba, "ONNX": lambda rows: session.run(None, {"X": rows})}
sizes = [1, 10, 100, 1000]
table = np.tile(X_test, (4, 1))

figure, ax = plt.subplots(layout="constrained")
for (name, predict), marker in zip(ways.items(), "os", strict=True):
    ax.loglog(sizes, [microseconds(predict, table[:n]) for n in sizes], f"{marker}-", label=name)
ax.set(xlabel="Rows in a call", ylabel="Microseconds per row")
ax.set_title("Time to predict, on the machine that made this page")
ax.legend()
plt.show()

# %%
# .. seealso:: :doc:`/guide/deploying` compares the ways to deploy a network.
