"""How loops become machine code: `compile` is the decorator, `machine_code` its store."""
