"""The training worker: carries out jobs, from a message to the end of a job. Only workers and commands import it.

execution    carries out one claimed job of any kind and ends it: succeeded, failed, cancelled or returned to the queue
reporter     writes progress as heartbeat and log, and stops the work on cancel or shutdown
epochs       the epochs of a run and their history, for the reporter
importing    the work of an import, in the Celery child itself
training     the work of a run, also for `manage.py train` in the foreground
evaluating   the work of an evaluation
supervisor   in the Celery child: claims a run or an evaluation, starts a process for it, watches both
process      that process: one job, then it ends and frees all memory of TensorFlow
stopping     how a Celery child learns that its worker must stop
"""
