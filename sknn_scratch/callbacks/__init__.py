"""Callbacks: scikit-learn's protocol, and checkpoints to go on from."""
