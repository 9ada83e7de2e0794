"""What the scripts share: the table, and the bare things that they measure beside ours."""
