"""The pytest plugin: Lakebed in the test's own process, on a free port, with a manual clock."""
