"""What several test modules share: scenes, models, damage, and second implementations of the format."""
