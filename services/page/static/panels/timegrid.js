// What state timeline and heat map share: names at the left, a track a row, time below.
import { element } from '../dom.js';
import { ticks } from '../time.js';

export function timeGrid(rows, range, width) {
  const share = (seconds) => `${(((seconds - range.start) / (range.end - range.start)) * 100).toFixed(3)}%`;
  const axis = ticks(range, Math.max(2, width / 110)).map(({ at, text }) =>
    element('span', { style: { left: share(at) } }, text),
  );
  return element(
    'div',
    { class: 'timegrid', style: { maxHeight: `${rows.length * 38 + 24}px` } },
    rows.map(({ name, track }) => [element('span', { class: 'name', title: name }, name), track]),
    element('span', {}),
    element('span', { class: 'axis' }, axis),
  );
}
