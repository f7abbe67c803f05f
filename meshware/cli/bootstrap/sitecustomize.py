"""`meshware run` puts this directory on PYTHONPATH: each Python of the command runs this file when it starts.

That may be a Python without meshware, and an old one: nothing here may need more. An own sitecustomize, which this
one stands before, is run as if this one were not there.
"""

import os
import sys
from importlib.machinery import PathFinder


def _begin():  # type: () -> None
    try:
        from meshware.inbound.unedited import begin
    except (ImportError, SyntaxError) as error:
        if os.environ.get("MESHWARE_RUN_PID") == str(os.getpid()):  # the command itself, not a helper of its
            sys.stderr.write("meshware run: nothing is meshed by %s: %s\n" % (sys.executable, error))  # noqa: UP031
    else:
        begin()


def _give_way():  # type: () -> None
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [each for each in sys.path if os.path.abspath(each) != here]
    spec = PathFinder.find_spec("sitecustomize")
    if spec is not None and spec.loader is not None:
        from importlib.util import module_from_spec

        module = sys.modules["sitecustomize"] = module_from_spec(spec)
        spec.loader.exec_module(module)


_begin()
_give_way()
