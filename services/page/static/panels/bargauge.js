// A bar a value: how far each is between the least and the most.
import { color, inkColor } from '../colors.js';
import { element } from '../dom.js';
import { shown, thresholdSteps } from '../fields.js';
import { reducedValues } from './reduced.js';

export function drawBarGauge(panel, frames, context) {
  const found = reducedValues(panel, frames);
  if (!found.length) return null;
  const range = commonBounds(found);
  return element(
    'div',
    { class: 'bars' },
    found.map((one) => bar(one, range, context)),
  );
}

function bar({ field, value, name }, range, context) {
  const { text, color: tone } = shown(value, field);
  const min = field.config.min ?? range.min;
  const max = field.config.max ?? range.max;
  const place = (number) =>
    `${(Math.min(1, Math.max(0, (number - min) / (max - min || 1))) * 100).toFixed(2)}%`;
  const marks = thresholdSteps(field).filter((step) => step.value > min && step.value < max);
  const address = (field.config.links ?? [])[0]?.url;
  return element(
    'div',
    { class: 'bar-row' },
    element(
      'span',
      { class: 'name', title: name },
      address ? context.link(address, field, value, name) : name,
    ),
    element(
      'span',
      { class: 'track' },
      element('span', { class: 'fill', style: { width: place(value ?? min), background: color(tone) } }),
      marks.map((step) =>
        element('span', {
          class: 'limit',
          title: `limit ${step.value}`,
          style: { left: place(step.value), background: color(step.color) },
        }),
      ),
    ),
    element('span', { class: 'value', style: { color: inkColor(tone) } }, text),
  );
}

function commonBounds(found) {
  const values = found.map((one) => one.value).filter(Number.isFinite);
  const limits = found
    .flatMap((one) => thresholdSteps(one.field).map((step) => step.value))
    .filter(Number.isFinite);
  return { min: Math.min(0, ...values), max: Math.max(...values, ...limits, 0) };
}
