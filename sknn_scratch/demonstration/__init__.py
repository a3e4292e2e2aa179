"""The demonstration: ``python -m sknn_scratch``.

1. The network of the tutorial post that the package began with (three inputs, four hidden units,
   one output) learns XOR, with the defaults for all else.
2. ``ScratchMLPClassifier`` and scikit-learn's ``MLPClassifier``, both with their defaults, learn
   raw tables; ``MLPClassifier`` also learns them scaled.
3. A grid search chooses hidden units and learning rate by the Brier score, plainly and as stacks.
4. ``ScratchMLPRegressor`` and ``MLPRegressor``, as they come, predict a number.
5. A page on which you can watch the network of the first part learn.

With ``--plots DIR`` it draws the results. It uses only the public interface of the package.
"""
