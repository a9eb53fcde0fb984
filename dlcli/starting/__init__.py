"""The first spec: for data that somebody looks at for the first time, or as a copy of one that dlcli ships."""
