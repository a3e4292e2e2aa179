"""Training: K frozen jobs in, K complete results out.

A :class:`~sknn_scratch.training.job.TrainingJob` holds all that the training of one network depends
on. Its result is a :class:`~sknn_scratch.training.job.TrainingState`, from which another job can
continue.
"""
