"""The page that shows a network learning: one file, from a recording of its training."""
