"""Messages for people: rendered from templates/emails, handed to a provider."""

from leadapp.messages.rendering import Message, render

__all__ = ["Message", "render"]
