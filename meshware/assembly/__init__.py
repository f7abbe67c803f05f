"""From settings to what they stand for: the only room that knows every policy room.

Rooms that most settings do not name are imported where a setting names them (docs/decisions/0023-lean-workers.md).
"""
