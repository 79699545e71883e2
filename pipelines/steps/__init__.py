"""The steps of the loop; a step has one name: its module, command, task id and policy section."""
