"""What people look at: the commands `rowferry status` and `rowferry drift`, which ask both nodes and print what they say."""
