"""The decisions: no I/O, no clock, standard library only."""
