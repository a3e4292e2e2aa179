"""The joblib backend "stacked", which plugs itself into training."""
