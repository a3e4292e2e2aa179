"""The same network in PyTorch and in sknn_scratch: from the same weights to the same result.

Needs torch. The page docs/coming_from/pytorch.md shows this code.
"""

import copy
import warnings

import numpy as np
import torch
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import scale
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from sknn_scratch import ScratchMLPClassifier

N_EPOCHS, BATCH_SIZE, RATE, DECAY = 40, 20, 0.01, 0.1
#: PyTorch adds it before Adam's bias correction, this package after it. So small, both are one.
EPSILON = 1e-15


def make_model() -> nn.Sequential:
    """Make a network of 4 inputs, 16 sigmoid units and 3 classes."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.Sigmoid(), nn.Linear(16, 3)).double()


def arrays_of(model: nn.Sequential) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Copy weights and biases as coefs_ and intercepts_ have them."""
    layers = [layer for layer in model if isinstance(layer, nn.Linear)]
    coefs = [layer.weight.detach().numpy().T.copy() for layer in layers]
    return coefs, [layer.bias.detach().numpy().copy() for layer in layers]


def train_in_pytorch(model: nn.Sequential, X: np.ndarray, y: np.ndarray) -> None:
    """Train by AdamW on the log loss, at a rate that falls along a cosine."""
    loader = DataLoader(TensorDataset(torch.tensor(X), torch.tensor(y)), batch_size=BATCH_SIZE)
    weights = [p for p in model.parameters() if p.ndim == 2]
    biases = [p for p in model.parameters() if p.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": weights, "weight_decay": DECAY}, {"params": biases, "weight_decay": 0}],
        lr=RATE,
        betas=(0.9, 0.999),
        eps=EPSILON,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, N_EPOCHS * len(loader))
    loss_function = nn.CrossEntropyLoss()
    for _ in range(N_EPOCHS):
        for X_batch, y_batch in loader:
            optimizer.zero_grad()
            loss = loss_function(model(X_batch), y_batch)
            loss.backward()
            optimizer.step()
            schedule.step()


def train_here(
    start: tuple[list[np.ndarray], list[np.ndarray]], X: np.ndarray, y: np.ndarray
) -> ScratchMLPClassifier:
    """Train the same network from the given weights and biases."""
    clf = ScratchMLPClassifier(
        hidden_layer_sizes=(16,),
        activation="logistic",
        loss="log_loss",
        solver="adam",
        learning_rate="cosine",
        learning_rate_init=RATE,
        beta_2=0.999,
        epsilon=EPSILON,
        weight_decay=DECAY,
        batch_size=BATCH_SIZE,
        shuffle=False,
        scale_features=False,
        input_dropout=0,
        dtype=np.float64,
        warm_start=True,
        max_iter=1,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the first fit makes the arrays only
        clf.fit(X, y)
        clf.coefs_, clf.intercepts_ = start
        return clf.set_params(max_iter=N_EPOCHS).fit(X, y)


def train_with_early_stopping(
    model: nn.Sequential, X: np.ndarray, y: np.ndarray, X_val: np.ndarray, y_val: np.ndarray
) -> int:
    """Train until the validation loss stalls; restore the best epoch, and return its number."""
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    loss_function = nn.CrossEntropyLoss()
    X, y, X_val, y_val = (torch.tensor(array) for array in (X, y, X_val, y_val))
    best, best_epoch, best_state, patience = float("inf"), 0, None, 10
    for epoch in range(1, 501):
        model.train()
        for rows in torch.randperm(len(X)).split(BATCH_SIZE):
            optimizer.zero_grad()
            loss_function(model(X[rows]), y[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.no_grad():
            validation_loss = float(loss_function(model(X_val), y_val))
        if validation_loss < best:
            best, best_epoch, best_state = validation_loss, epoch, copy.deepcopy(model.state_dict())
        elif epoch - best_epoch > patience:
            break
    model.load_state_dict(best_state)
    return best_epoch


def main() -> float:
    """Train both, compare them, and return the largest difference of their probabilities."""
    X, y = load_iris(return_X_y=True)
    X = scale(X)
    X, X_test, y, y_test = train_test_split(X, y, test_size=30, random_state=0, stratify=y)

    model = make_model()
    clf = train_here(arrays_of(model), X, y)
    train_in_pytorch(model, X, y)
    with torch.no_grad():
        theirs = torch.softmax(model(torch.tensor(X_test)), dim=1).numpy()
    difference = float(np.abs(clf.predict_proba(X_test) - theirs).max())
    print(f"torch {torch.__version__}: probabilities differ by at most {difference:.0e}")

    clf.coefs_, clf.intercepts_ = arrays_of(model)
    copied = float(np.abs(clf.predict_proba(X_test) - theirs).max())
    print(f"with the weights of PyTorch, by {copied:.0e}")

    best = train_with_early_stopping(make_model(), X, y, X_test, y_test)
    print(f"early stopping kept epoch {best}")
    return max(difference, copied)


if __name__ == "__main__":
    main()
