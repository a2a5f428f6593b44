"""Where results come from: seeds now; snapshot, witness and manifest stand beside them."""
