"""The steps of the loop, one module each; a step's name is its module, command, task and section."""
