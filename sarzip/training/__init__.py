"""What makes models; nothing here is needed to read a file. Start with `loop`."""
