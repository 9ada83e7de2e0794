"""What happens in a guest, and who is told of it."""
