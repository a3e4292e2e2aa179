"""
Watch a network learn two moons
===============================

A network with eight hidden units learns to tell two moons apart. This example records the fit,
shows it as a page with a slider, and draws what the network has learnt.
"""

# %%
# Three hundred rows with two columns. A :class:`~sknn_scratch.LearningRecorder` keeps the
# parameters after some of the epochs.

from html import escape
from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
from sklearn.datasets import make_moons

from sknn_scratch import LearningRecorder, NetworkDisplay, ScratchMLPClassifier

plt.style.use("sknn_scratch.pictures")

X, y = make_moons(300, noise=0.2, random_state=0)
recorder = LearningRecorder()
clf = ScratchMLPClassifier((8,), random_state=0).set_callbacks(recorder).fit(X, y)
print(f"{clf.n_iter_} epochs, accuracy {clf.score(X, y):.2f}")

# %%
# ``recorder.to_html("moons.html")`` writes the page: one file for any browser. To show it within
# another page, as here or in a notebook, put it into a frame. Press play, drag the slider, or
# select a unit to enlarge it.


class Page:
    """A page within a page."""

    def __init__(self, text):
        self.text = text

    def _repr_html_(self):
        look = 'title="The network learning" style="width: 100%; height: 720px; border: 0"'
        return f'<iframe srcdoc="{escape(self.text)}" {look}></iframe>'


with TemporaryDirectory() as folder:
    page = recorder.to_html(Path(folder) / "moons.html")
    text = page.read_text(encoding="utf-8")
Page(text)

# %%
# The picture shows the network at the end of training. Each unit is a small map of the plane, dark
# where the unit is active. A hidden unit draws one soft line; the output combines the lines. Lines
# between units are weights; the negative ones are red and dashed.

display = NetworkDisplay.from_estimator(clf)
display.figure_.suptitle("Each unit as a map of the plane", y=1.02)
plt.show()

# %%
# .. seealso:: :doc:`/guide/watching` describes the page, :doc:`/guide/pictures` the picture.
