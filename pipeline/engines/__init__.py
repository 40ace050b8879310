"""windows -> spans -> rows for many windows at once: three engines that agree bit for bit."""
