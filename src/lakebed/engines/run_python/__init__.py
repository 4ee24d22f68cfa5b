"""Function runtimes: Lambda's code in warm worker processes, one event at a time in each.

Every ``python3.x`` function runs on the interpreter that runs Lakebed, whatever minor version it names, ``nodejs`` on the
machine's node where there is one, ``provided`` as the executable it is: refusing all but one version would make most
templates unusable, and the difference is a documented deviation (docs/deviations/lambda.md, which also says what the
sandbox is and is not).

- ``runtimes.py``  which there are, and how the program of each is started.
- ``worker.py``  the program in the worker process, with ``worker_sandbox.py`` (what closes it in), ``worker_python.py``
  (Python handlers), ``worker_runtime_api.py`` (the Runtime API for all others) and ``node/bootstrap.mjs``; none of them
  imports anything of Lakebed.
- ``worker_process.py``  one worker as the server sees it: start, init, one event, its log, its end.
- ``fence.py``  the one way out of a network of the function's own.
- ``pool.py``  which worker serves whom: warm reuse, caps, fair waiting, idle retirement, workers that are kept.
- ``outcome.py``  AWS's error objects and the START, END and REPORT lines.
- ``runtime.py``  the port ``lakebed.ports.runtime.FunctionRuntime``.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

from lakebed.engines.run_python.runtime import PythonRuntime

__all__ = ["PythonRuntime"]
