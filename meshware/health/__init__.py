"""How servers are: what this one is busy with, and what others answer when they are asked."""
