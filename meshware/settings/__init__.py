"""The settings: pydantic models, their sources, every error at once."""
