"""What people look at: what `rowferry status` and `rowferry drift` print, the line of progress, and the form of the log."""
