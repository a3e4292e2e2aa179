"""The joblib backend "stacked": networks that are fitted at the same time train as one stack.

joblib hands a backend tasks to run, say the fits of a grid search. Here each task runs in a thread
of its own, one after the other, until it has a network to train: then it waits, and the next task
runs. When all of them wait or have ended, their networks are trained in stacks, in this process or,
if that takes long, in as many as there are cores, and the tasks go on where they were. Neither who
calls joblib nor what the tasks call has to know.

:class:`~sknn_scratch.parallel.backend.StackedBackend` is what joblib sees. The tasks of a call, and
those of the calls nested in it, share one :class:`~sknn_scratch.parallel.meeting.Meeting`, which
decides who may run. A fit takes part by way of ``training.trainer``.
"""
