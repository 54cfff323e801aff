"""What stands between a model and its tickets: the checks before a long training, and what to do after one."""
