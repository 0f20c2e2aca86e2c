"""Plain functions that add one valid row each, or make one valid value."""
