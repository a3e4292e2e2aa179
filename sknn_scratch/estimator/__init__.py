"""The estimators: validate, plan, train, adopt, report."""
