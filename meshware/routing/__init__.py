"""What is decided of a call before an endpoint is picked."""
