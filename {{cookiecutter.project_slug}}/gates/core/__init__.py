"""What the gates stand on: files, rules, settings, and the engine that runs them."""
