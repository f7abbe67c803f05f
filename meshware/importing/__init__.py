"""Configurations of other systems, made into settings of ours; what has no equivalent is named."""
