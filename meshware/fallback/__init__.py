"""What a caller gets in place of a failure: the last good answer, what the user's function makes, or a fixed one."""
