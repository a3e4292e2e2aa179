"""How strongly to hold a network back, by how much data there is."""

#: What an update takes off, times rows, and the fewest rows that count.
SHRINKAGE_TIMES_ROWS = 4.0
FEWEST_ROWS = 250

#: Bounds of :func:`input_dropout_for`.
FEWEST_FEATURES = 10
FREE_FEATURES_PER_ROW = 0.05
MOST_DROPOUT = 0.15


def weight_decay_for(n_samples: float, learning_rate: float) -> float:
    r"""Weight decay of a network whose targets are all noise: :math:`4 / (\eta \max(n, 250))`.

    So an update takes :math:`4 / \max(n, 250)` off the weights at first, whatever the learning
    rate :math:`\eta`. The best linear fit to targets with noise of variance :math:`\sigma^2`
    shrinks weights in proportion to :math:`\sigma^2 / n` (ridge regression). Training multiplies
    this by the noise that it measures, so clean data hardly feel it.
    """
    return SHRINKAGE_TIMES_ROWS / (learning_rate * max(n_samples, FEWEST_ROWS))


def input_dropout_for(n_features: int, n_samples: float) -> float:
    r"""Share of the inputs that each update leaves out: :math:`D / n - 0.05`, from 0 to 0.15.

    With many columns for few rows, some fit the rows by accident; a network that must do without
    some of them each time does not rely on any. Below 10 columns none can be spared.
    """
    if n_features < FEWEST_FEATURES:
        return 0.0
    return min(MOST_DROPOUT, max(0.0, n_features / n_samples - FREE_FEATURES_PER_ROW))
