"""Published models for comparison, under the project's own protocol."""
