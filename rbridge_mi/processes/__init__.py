"""The same task m times: on this R, on worker processes, in a process that may be lost."""
