"""Training: K frozen jobs in, K complete results out."""
