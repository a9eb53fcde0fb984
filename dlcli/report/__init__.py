"""The report of a run: one page that opens anywhere, and the pictures in it."""
