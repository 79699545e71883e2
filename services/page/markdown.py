"""Markdown in, HTML out; HTML inside the markdown is shown as text, and links are web links."""

from markdown_it import MarkdownIt

_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])


def render(text: str) -> str:
    """Render a page's or a panel's markdown; its own rules refuse `javascript:` links."""
    return str(_MARKDOWN.render(text))
