"""
A raw data frame with strings and missing values
================================================

You can pass ``fit`` a data frame as ``read_csv`` returns it. This example classifies penguins from
a frame with strings and missing values, and asks which columns the network relies on.
"""

# %%
# Two of the six columns hold strings, and five have missing values:

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.inspection import permutation_importance
from sklearn.model_selection import train_test_split

from sknn_scratch import NetworkDisplay, ScratchMLPClassifier
from sknn_scratch.datasets import load_penguins

plt.style.use("sknn_scratch.pictures")

X, y = load_penguins(return_X_y=True, as_frame=True)
X.head()

# %%
# There is no encoder, no imputer and no scaler: the network does that itself.

X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0, stratify=y)
clf = ScratchMLPClassifier(random_state=0).fit(X_train, y_train)
print(f"accuracy on new penguins: {clf.score(X_test, y_test):.2f}")

# %%
# The six columns have become ten inputs. A column of strings has one input for each of its levels,
# and one for missing values if there were any.

print(*clf.input_names_, sep="\n")

# %%
# A new bird of which nothing is known but its island is no error. The network answers with doubt:

unknown = pd.DataFrame([{"island": "Biscoe"}], columns=X.columns).astype(X.dtypes)
dict(zip(clf.classes_, clf.predict_proba(unknown)[0].round(2).tolist(), strict=True))

# %%
# The network: each line is a weight, from the inputs by their names to the twelve hidden units with
# the largest effect, and on to the species.

display = NetworkDisplay.from_estimator(clf)
display.figure_.suptitle("From measurements to species", y=1.02)
plt.show()

# %%
# And which columns does the network rely on? Shuffle one column of the new penguins at a time, and
# see how much worse the log loss becomes.

importance = permutation_importance(
    clf, X_test, y_test, scoring="neg_log_loss", n_repeats=10, random_state=0
)
order = importance.importances_mean.argsort()

figure, ax = plt.subplots(layout="constrained")
ax.barh(
    X.columns[order], importance.importances_mean[order], xerr=importance.importances_std[order]
)
ax.set_xlabel("Log loss gained when the column is shuffled")
ax.set_title("Which columns tell the species")
plt.show()

# %%
# .. seealso:: :doc:`/guide/table_as_it_comes` says what happens to each kind of column.
