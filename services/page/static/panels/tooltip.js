// What stands at the cursor: the time, every series' value there, and annotations near it.
import { element } from '../dom.js';
import { lineColor } from '../fields.js';
import { clock } from '../time.js';
import { format } from '../units.js';
import { annotationsAt } from './annotations.js';

const MOST = 14;

export function tooltip(fields, values, context) {
  const box = element('div', { class: 'tooltip', hidden: true });
  return (plot) => {
    if (!box.isConnected) plot.over.append(box);
    const { left, idx, event } = plot.cursor;
    box.hidden = idx === null || idx === undefined || left < 0 || !event; // a synced cursor of another panel has no event
    if (box.hidden) return;
    const seconds = plot.data[0][idx];
    const near = annotationsAt(context.annotations, seconds, plot.posToVal(4, 'x') - plot.posToVal(0, 'x'));
    box.replaceChildren(
      element('strong', {}, clock(seconds)),
      ...near.map(({ title, text }) =>
        element('div', { class: 'near' }, [title, text].filter(Boolean).join(': ')),
      ),
      ...rowsAt(fields, values, plot, idx),
    );
    const atLeft = left > plot.over.clientWidth / 2;
    Object.assign(
      box.style,
      atLeft
        ? { right: `${plot.over.clientWidth - left + 12}px`, left: 'auto' }
        : { left: `${left + 12}px`, right: 'auto' },
    );
  };
}

function rowsAt(fields, values, plot, idx) {
  const rows = fields
    .map((field, i) => ({
      field,
      value: values[i][idx],
      show: plot.series[i + 1].show && !field.config.custom.hideFrom?.tooltip,
    }))
    .filter(({ show, value }) => show && value !== null && value !== undefined)
    .sort((a, b) => b.value - a.value);
  const lines = rows
    .slice(0, MOST)
    .map(({ field, value }) =>
      element(
        'div',
        {},
        element('i', { style: { background: lineColor(field) } }),
        field.display,
        element('b', {}, format(value, field.config.unit, field.config.decimals)),
      ),
    );
  if (rows.length > MOST) lines.push(element('div', {}, `and ${rows.length - MOST} more`));
  return lines;
}
