"""What tests of meshware and of its plugins share."""
