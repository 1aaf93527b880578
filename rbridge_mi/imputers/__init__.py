"""One module per engine that makes m data sets of one."""
