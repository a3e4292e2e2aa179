"""Callbacks: scikit-learn's protocol, checkpoints to go on from, and recordings to look at."""
