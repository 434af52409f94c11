"""What plugin authors are given: a package to start from, and an examination of what they made of it."""
