// Rows and columns; a column's head sorts by it.
import { color, inkColor, withAlpha } from '../colors.js';
import { element } from '../dom.js';
import { bounds, shown } from '../fields.js';
import { compare } from '../transformations.js';
import { clock } from '../time.js';

const MOST_ROWS = 500;

export function drawTable(panel, frames, context) {
  if (!frames.length) return null;
  const frame = asOneTable(frames);
  const fields = frame.fields.filter(
    (field) => !field.config.custom?.hidden && !field.config.custom?.hideFrom?.viz,
  );
  if (!fields.length || !fields[0].values.length) return null;
  const first = panel.options?.sortBy?.[0];
  const memory = context.memory; // what a person has sorted by stays over a refresh
  memory.sort ??= first ? { name: first.displayName, desc: Boolean(first.desc) } : null;
  const body = element('tbody');
  const fill = () => body.replaceChildren(...rowsOf(fields, memory.sort, context));
  const heads = element(
    'tr',
    {},
    fields.map((field) => head(field, memory, () => redraw())),
  );
  const redraw = () => {
    fill();
    heads.replaceChildren(...fields.map((field) => head(field, memory, redraw)));
  };
  fill();
  const hidden = fields[0].values.length - MOST_ROWS;
  return [
    element(
      'table',
      { class: 'plain' },
      panel.options?.showHeader === false ? null : element('thead', {}, heads),
      body,
    ),
    hidden > 0 ? element('p', { class: 'quiet' }, `${hidden} more rows are not shown.`) : null,
  ];
}

function head(field, memory, redraw) {
  const desc = memory.sort?.name === field.display ? memory.sort.desc : null;
  const sort = () => {
    memory.sort = { name: field.display, desc: desc === null ? field.type === 'number' : !desc };
    redraw();
  };
  return element(
    'th',
    {
      class: isRight(field) ? 'number' : '',
      'aria-sort': desc === null ? null : desc ? 'descending' : 'ascending',
      style: widthOf(field),
    },
    element(
      'button',
      { type: 'button', class: 'head', onclick: sort },
      field.display,
      desc === null ? '' : desc ? ' ↓' : ' ↑',
    ),
  );
}

function rowsOf(fields, sort, context) {
  const by = sort && fields.find((field) => field.display === sort.name);
  const rows = [...fields[0].values.keys()];
  if (by) rows.sort((a, b) => compare(by.values[a], by.values[b]) * (sort.desc ? -1 : 1));
  const cellsOf = (row) => {
    const data = Object.fromEntries(fields.map((field) => [field.name, field.values[row]]));
    return fields.map((field) => cell(field, field.values[row], data, context));
  };
  return rows.slice(0, MOST_ROWS).map((row) => element('tr', {}, cellsOf(row)));
}

function cell(field, value, data, context) {
  const { text, color: tone, mapped } = field.type === 'time' ? { text: clock(value) } : shown(value, field);
  const kind = field.config.custom?.cellOptions?.type ?? 'auto';
  const address = (field.config.links ?? [])[0]?.url;
  const content = address ? context.link(address, field, value, text, data) : text;
  const right = isRight(field) ? 'number' : '';
  if (kind === 'gauge' && typeof value === 'number')
    return element('td', { class: 'number' }, gauge(value, field, tone, content));
  if (kind === 'color-background' && tone)
    return element(
      'td',
      { class: right },
      element('span', { class: 'cell', style: { background: withAlpha(color(tone), 0.3) } }, content),
    );
  if (kind === 'color-text' || (kind === 'auto' && mapped && tone))
    return element('td', { class: right, style: { color: inkColor(tone) } }, content);
  return element('td', { class: right }, content);
}

function gauge(value, field, tone, content) {
  const { min, max } = bounds(field);
  const width = `${(Math.min(1, Math.max(0, (value - min) / (max - min))) * 100).toFixed(1)}%`;
  const fill = element('span', { class: 'fill', style: { width, background: color(tone) } });
  return element(
    'span',
    { class: 'cell-gauge' },
    element('span', { class: 'track' }, fill),
    element('span', {}, content),
  );
}

function isRight(field) {
  const { align } = field.config.custom ?? {};
  return (
    align === 'right' ||
    ((!align || align === 'auto') && field.type === 'number' && !(field.config.mappings ?? []).length)
  );
}

function widthOf(field) {
  const width = field.config.custom?.width ?? field.config.custom?.minWidth;
  return width ? { minWidth: `${Math.min(width, 320)}px` } : {};
}

// Series that nobody made a table of: a row a series, as Grafana's table shows the first, we show all.
function asOneTable(frames) {
  if (frames.length === 1 && !(frames[0].fields.length === 2 && frames[0].step)) return frames[0];
  const isSeries = frames.every((frame) => frame.fields.length === 2 && frame.fields[0].type === 'time');
  if (!isSeries) return frames[0] ?? { fields: [] };
  const values = frames.map((frame) => frame.fields[1]);
  const names = {
    name: 'Series',
    display: 'Series',
    type: 'string',
    config: {},
    values: values.map((field) => field.display),
  };
  const last = {
    ...values[0],
    name: 'Value',
    display: 'Value',
    values: values.map((field) => field.values.findLast((value) => value !== null) ?? null),
  };
  return { fields: [names, last] };
}
