"""What the workers of one host share: see board.py."""
