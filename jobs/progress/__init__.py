"""How a build goes: what is counted, the live screen, `status.json`."""
