"""What `dlcli doctor` looks at: what is installed, what the machine has, what is missing, and how fast it is."""
