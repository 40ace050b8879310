"""What each objective promises: counted while items are built, checked before the manifest."""
