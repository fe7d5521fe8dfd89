"""Messages for people: rendered from templates/emails, handed to a provider."""
