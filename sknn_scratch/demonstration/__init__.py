"""The demonstration: ``python -m sknn_scratch``.

1. The network of the tutorial post that the package began with (three inputs, four hidden units,
   one output) learns XOR, with the defaults for all else.
2. ``ScratchMLPClassifier`` with its defaults takes tables as they come, beside scikit-learn's
   ``MLPClassifier`` with its defaults, on the same columns and on scaled ones.
3. A grid search chooses hidden units and learning rate by the Brier score, plainly and as stacks.
4. ``ScratchMLPRegressor`` and ``MLPRegressor``, as they come, predict a number.
5. A page is written on which one watches the network of the first part learn.

With ``--plots DIR`` it draws what it found. All that it does, it does as any user could.
"""
