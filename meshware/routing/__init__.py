"""What is decided of a call before an endpoint is picked: where it goes, by which policies, what goes wrong."""
