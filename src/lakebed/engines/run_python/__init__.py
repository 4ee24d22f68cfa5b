"""Function runtime of Python functions: warm worker processes of this interpreter, one event at a time in each.

Every ``python3.9`` … ``python3.14`` function runs on the interpreter that runs Lakebed, whatever minor version it names:
refusing all but one would make most templates unusable, and the difference is a documented deviation
(docs/deviations/lambda.md, which also says what the sandbox is and is not).

- ``worker.py``  the program in the worker process; it imports nothing of Lakebed.
- ``worker_process.py``  one worker as the server sees it: start, init, one event, its log, its end.
- ``pool.py``  which worker serves whom: warm reuse, caps, fair waiting, idle retirement.
- ``outcome.py``  AWS's error objects and the START, END and REPORT lines.
- ``runtime.py``  the port ``lakebed.ports.runtime.FunctionRuntime``.

https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
"""

from __future__ import annotations

from lakebed.engines.run_python.runtime import PythonRuntime

__all__ = ["PythonRuntime"]
