"""Pages and pictures for people: the card, the summary, a row in the browser."""
