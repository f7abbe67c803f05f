"""The sections of the settings, a file for each room whose settings they are."""
