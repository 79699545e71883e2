// A text panel: the server has made HTML of its markdown; variables are put in here, as text alone.
import { element, safeAddress } from '../dom.js';

export function drawText(panel, _frames, { variables }) {
  const { html, content = '', mode } = panel.options ?? {};
  if (html === undefined) return element('pre', {}, mode === 'html' ? 'HTML is not shown here.' : content);
  const parsed = new DOMParser().parseFromString(html, 'text/html').body;
  const walker = document.createTreeWalker(parsed, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) walker.currentNode.data = variables.replace(walker.currentNode.data);
  for (const anchor of parsed.querySelectorAll('a[href]')) {
    const address = anchor
      .getAttribute('href')
      .replaceAll('%7B', '{')
      .replaceAll('%7D', '}')
      .replaceAll('%5B', '[')
      .replaceAll('%5D', ']');
    const filled = safeAddress(variables.replace(address, {}, 'address'));
    if (filled) anchor.setAttribute('href', filled);
    else anchor.removeAttribute('href');
  }
  return element('div', { class: 'prose' }, [...parsed.childNodes]);
}
