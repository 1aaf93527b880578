"""Models, and how one is fitted to a frame or to m data sets."""
