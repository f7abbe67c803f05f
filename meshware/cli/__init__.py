"""The `meshware` command."""
