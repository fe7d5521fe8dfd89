"""Worker processes: the supervisor, one worker, the clock."""
