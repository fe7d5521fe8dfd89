"""Who carries a message: smtp, console."""
