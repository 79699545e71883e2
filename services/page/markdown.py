"""Markdown in, HTML out; HTML inside the markdown is shown as text, and links are web links."""

from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict


def render(text: str) -> str:
    """Render a page's or a panel's markdown; its own rules refuse `javascript:` links."""
    return str(_MARKDOWN.render(text))


def _cell(
    self: RendererHTML, tokens: Sequence[Token], index: int, options: OptionsDict, env: EnvType
) -> str:
    """Leave out a column's alignment: it is an inline style, which our pages do not allow."""
    tokens[index].attrs.pop("style", None)
    return self.renderToken(tokens, index, options, env)


_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
for _rule in ("th_open", "td_open"):
    _MARKDOWN.add_render_rule(_rule, _cell)
