// One number or a few, large, with its name and a faint line of how it was.
import { color, inkColor, withAlpha } from '../colors.js';
import { element } from '../dom.js';
import { shown } from '../fields.js';
import { reducedValues } from './reduced.js';

export function drawStat(panel, frames, context) {
  const found = reducedValues(panel, frames);
  if (!found.length) return null;
  const tiles = found.map((one) => tile(one, panel.options ?? {}, found.length, context));
  return element(
    'div',
    { class: `stats${panel.options?.orientation === 'horizontal' ? ' stacked' : ''}` },
    tiles,
  );
}

function tile({ field, value, name }, options, count, context) {
  const { text, color: tone } = shown(value, field);
  const { textMode = 'auto', colorMode = 'value', graphMode = 'area' } = options;
  const onGround = colorMode.startsWith('background');
  const withName = textMode === 'value_and_name' || textMode === 'name' || (textMode === 'auto' && count > 1);
  const address = (field.config.links ?? [])[0]?.url;
  const words = textMode === 'name' ? name : text;
  const label =
    textMode !== 'none' &&
    element(
      'span',
      {
        class: 'value',
        style: {
          color: onGround || colorMode === 'none' ? '' : inkColor(tone),
          '--characters': Math.max(4, words.length),
        },
      },
      words,
    );
  return element(
    'div',
    {
      class: `stat${onGround ? ' filled' : ''}`,
      style: onGround ? { background: withAlpha(color(tone), 0.28), borderColor: color(tone) } : {},
    },
    graphMode === 'area' && field.values.length > 2 ? spark(field.values, color(tone)) : null,
    withName && textMode !== 'name' ? element('span', { class: 'name' }, name) : null,
    label ? (address ? context.link(address, field, value, label) : label) : null,
  );
}

const SVG = 'http://www.w3.org/2000/svg';

function spark(values, stroke) {
  const numbers = values.map((value, i) => [i, value]).filter(([, value]) => Number.isFinite(value));
  if (numbers.length < 2) return null;
  const heights = numbers.map(([, value]) => value);
  const [low, high] = [Math.min(...heights), Math.max(...heights)];
  const y = (value) => (high === low ? 20 : 38 - ((value - low) / (high - low)) * 34).toFixed(1);
  const x = (i) => ((i / (values.length - 1)) * 100).toFixed(2);
  const line = numbers.map(([i, value]) => `${x(i)},${y(value)}`).join(' ');
  const svg = document.createElementNS(SVG, 'svg');
  svg.setAttribute('viewBox', '0 0 100 40');
  svg.setAttribute('preserveAspectRatio', 'none');
  svg.setAttribute('class', 'spark');
  svg.setAttribute('aria-hidden', 'true');
  const area = document.createElementNS(SVG, 'polygon');
  area.setAttribute('points', `${x(numbers[0][0])},40 ${line} ${x(numbers.at(-1)[0])},40`);
  area.setAttribute('fill', stroke);
  svg.append(area);
  return svg;
}
