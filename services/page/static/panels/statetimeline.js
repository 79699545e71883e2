// A row a series; a block as long as a state lasts, in the state's colour and word.
import { color, paletteColor, withAlpha } from '../colors.js';
import { element } from '../dom.js';
import { shown } from '../fields.js';
import { clock } from '../time.js';
import { timeGrid } from './timegrid.js';

export function drawStateTimeline(panel, frames, context) {
  const fields = frames.flatMap((frame) =>
    frame.fields.filter((field) => field.type !== 'time').map((field) => ({ field, frame })),
  );
  if (!fields.length) return null;
  const rows = fields.map(({ field, frame }) => ({
    name: field.display,
    track: track(field, frame, context.range, panel.options ?? {}),
  }));
  return [
    timeGrid(rows, context.range, context.width),
    panel.options?.legend?.showLegend === false ? null : legend(fields),
  ];
}

function track(field, frame, range, options) {
  const times = frame.fields.find((other) => other.type === 'time').values;
  const step = frame.step ?? (times[1] ?? range.end) - times[0];
  const place = (seconds) => Math.min(1, Math.max(0, (seconds - range.start) / (range.end - range.start)));
  const blocks = blocksOf(times, field, step).map(({ from, to, said, value }) => {
    const [left, right] = [place(from), place(to)];
    const opacity = (field.config.custom?.fillOpacity ?? 70) / 100;
    return element(
      'span',
      {
        class: 'block',
        title: `${field.display}: ${said.text}\n${clock(from)} to ${clock(to)}`,
        style: {
          left: `${(left * 100).toFixed(3)}%`,
          width: `${((right - left) * 100).toFixed(3)}%`,
          background: withAlpha(color(said.color), opacity),
        },
      },
      options.showValue !== 'never' && right - left > 0.05 && value !== null ? said.text : '',
    );
  });
  return element('span', { class: 'track' }, blocks);
}

// Without colours of their own, numbers have one each: the same number, the same colour in every row.
function stateOf(value, field) {
  const said = shown(value, field);
  const plain =
    !said.mapped && (field.config.color?.mode ?? '').startsWith('palette') && Number.isFinite(value);
  return plain ? { ...said, color: paletteColor(Math.abs(Math.round(value))) } : said;
}

// What looks the same side by side is one block.
function blocksOf(times, field, step) {
  const blocks = [];
  times.forEach((from, i) => {
    const value = field.values[i];
    if (value === null || value === undefined) return;
    const said = stateOf(value, field);
    const last = blocks.at(-1);
    if (last && last.said.text === said.text && last.said.color === said.color && from - last.to < step * 0.5)
      last.to = from + step;
    else blocks.push({ from, to: from + step, said, value });
  });
  return blocks;
}

function legend(fields) {
  const seen = new Map();
  for (const { field } of fields) {
    for (const value of new Set(field.values)) {
      if (value === null) continue;
      const said = shown(value, field);
      if (said.mapped) seen.set(said.text, said.color);
    }
  }
  const items = [...seen].map(([text, tone]) =>
    element('li', {}, element('i', { style: { background: color(tone) } }), text),
  );
  return items.length ? element('ul', { class: 'legend list' }, items) : null;
}
