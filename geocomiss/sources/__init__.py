"""Where stacks come from."""
