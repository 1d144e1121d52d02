"""The training worker: what happens between a message and a job that has ended. Only workers and commands come here.

execution    one claimed job of any kind: its work, and how it ends (succeeded, failed, cancelled or given back)
reporter     progress out as heartbeat and log; cancel and stop in
epochs       a run's epochs and their history, for the reporter
importing    the work of an import, in the Celery child itself
training     the work of a run, also for `manage.py train` in the foreground
evaluating   the work of an evaluation
supervisor   in the Celery child: claims a run or an evaluation, starts a process for it, watches both
process      that process: one job, then it ends and every byte of TensorFlow's memory is back
stopping     how a Celery child learns that its worker was told to stop
"""
