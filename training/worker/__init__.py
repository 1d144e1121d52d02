"""The training worker's rooms: what happens between a message and a finished run. Only workers and commands come here.

supervisor   in Celery's prefork child: claims a run or an evaluation, starts a process for it, watches both
process      that process: one job, then it ends and every byte of TensorFlow's memory is back
training     a claimed run from its rows to its classifier, also for `manage.py train` in the foreground
evaluating   a claimed evaluation from its rows to its figures
ending       how either ends: succeeded, failed with a reason, cancelled, or given back
reporter     the pipeline's progress as heartbeat, history and log; cancel and stop the other way
stopping     how a prefork child learns that its worker was told to stop
"""
