"""Whether, when and how often to send again; all of it paid for."""
