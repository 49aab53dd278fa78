"""The commands of `vdd`, a file each: what it takes, and what it does."""
