"""What happens between two bytecodes: a step function before each bytecode of some code objects."""

from __future__ import annotations

import sys
from contextlib import contextmanager


@contextmanager
def stepping(step, inside):
    """`step(code, offset)` before each bytecode of these code objects."""
    if sys.version_info < (3, 12):
        with traced(step, inside):
            yield
        return
    monitoring, tool = sys.monitoring, sys.monitoring.PROFILER_ID
    monitoring.use_tool_id(tool, "interrupts")
    monitoring.register_callback(tool, monitoring.events.INSTRUCTION, step)
    for code in inside:
        monitoring.set_local_events(tool, code, monitoring.events.INSTRUCTION)
    try:
        yield
    finally:
        for code in inside:
            monitoring.set_local_events(tool, code, 0)
        monitoring.register_callback(tool, monitoring.events.INSTRUCTION, None)
        monitoring.free_tool_id(tool)


@contextmanager
def traced(step, inside):
    """The same by the means of 3.11."""

    def trace(frame, event, argument):
        if frame.f_code not in inside:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            step(frame.f_code, frame.f_lasti)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
