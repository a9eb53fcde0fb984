"""Searching for the best settings of a spec: trials, what they gave, and how that is shown."""
