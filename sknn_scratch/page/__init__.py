"""The page on which one sees a network learn: one file, from a recording of its training."""
