"""The joblib backend "stacked": networks that are fitted in one process are trained as stacks."""
