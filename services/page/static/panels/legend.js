// The names of a plot's series, with numbers if asked for; a click on a name shows or hides its line.
import { element } from '../dom.js';
import { lineColor, reduce } from '../fields.js';
import { format } from '../units.js';

const CALC_NAMES = {
  lastNotNull: 'last',
  last: 'last',
  mean: 'mean',
  max: 'max',
  min: 'min',
  sum: 'total',
  count: 'count',
  firstNotNull: 'first',
};

export function legendOf(panel, fields) {
  const { showLegend = true, displayMode = 'list', calcs = [] } = panel.options?.legend ?? {};
  const listed = fields
    .map((field, index) => ({ field, index }))
    .filter(({ field }) => !field.config.custom.hideFrom?.legend);
  if (!showLegend || displayMode === 'hidden' || !listed.length) return null;
  let steered = () => {};
  const name = (field, index) => nameButton(field, (show) => steered(index, show));
  const box = displayMode === 'table' ? asTable(listed, calcs, name) : asList(listed, calcs, name);
  return {
    box,
    steer: (then) => {
      steered = then;
    },
  };
}

function nameButton(field, steer) {
  const button = element(
    'button',
    { type: 'button', 'aria-pressed': String(!field.config.custom.hideFrom?.viz), title: 'show or hide' },
    element('i', { style: { background: lineColor(field) } }),
    field.display,
  );
  button.addEventListener('click', () => {
    const show = button.getAttribute('aria-pressed') !== 'true';
    button.setAttribute('aria-pressed', String(show));
    steer(show);
  });
  return button;
}

const say = (field, calc) => format(reduce(field.values, calc), field.config.unit, field.config.decimals);

function asList(listed, calcs, name) {
  const numbers = (field) => calcs.map((calc) => ` ${CALC_NAMES[calc] ?? calc} ${say(field, calc)}`).join('');
  return element(
    'ul',
    { class: 'legend list' },
    listed.map(({ field, index }) => element('li', {}, name(field, index), numbers(field))),
  );
}

function asTable(listed, calcs, name) {
  const head = element(
    'tr',
    {},
    element('th', {}, ''),
    calcs.map((calc) => element('th', { class: 'number' }, CALC_NAMES[calc] ?? calc)),
  );
  const rows = listed.map(({ field, index }) =>
    element(
      'tr',
      {},
      element('td', {}, name(field, index)),
      calcs.map((calc) => element('td', { class: 'number' }, say(field, calc))),
    ),
  );
  return element(
    'div',
    { class: 'legend' },
    element('table', {}, element('thead', {}, head), element('tbody', {}, rows)),
  );
}
