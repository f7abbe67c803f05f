"""What is written in files, for settings and for endpoints: read within limits, and looked at for changes."""
