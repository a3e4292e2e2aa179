"""Callbacks: scikit-learn's protocol, checkpoints to resume from, and recordings to look at."""
