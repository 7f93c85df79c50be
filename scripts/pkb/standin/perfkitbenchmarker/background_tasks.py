"""Runs a function in a thread for each of several values."""

from concurrent import futures
import traceback

from perfkitbenchmarker import errors


def RunThreaded(target, thread_params, max_concurrent_threads=200):
  if not isinstance(thread_params, list):
    raise ValueError('Param "thread_params" must be a list')
  calls = [p if isinstance(p, tuple) else ((p,), {}) for p in thread_params]
  with futures.ThreadPoolExecutor(max_concurrent_threads) as pool:
    tasks = [pool.submit(target, *args, **kwargs) for args, kwargs in calls]
  failures = [
      ''.join(traceback.format_exception(None, e, e.__traceback__))
      for e in (task.exception() for task in tasks)
      if e
  ]
  if failures:
    raise errors.VmUtil.ThreadException('\n'.join(failures))
  return [task.result() for task in tasks]
