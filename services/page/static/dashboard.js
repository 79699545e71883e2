// The page of one dashboard: its JSON in, panels on the page out, drawn anew as often as asked.
import { onSchemeChange } from './colors.js';
import { asked, choose, chosenTime, drawControls } from './controls.js';
import { element, safeAddress } from './dom.js';
import { gridOf, sectionsOf } from './layout.js';
import { Panel } from './panel.js';
import { findAnnotations } from './panels/annotations.js';
import { duration, moment } from './time.js';
import { Variables } from './variables.js';

const place = document.getElementById('dashboard');
const trouble = document.getElementById('trouble');
const scrape = Number(place.dataset.scrape);
const open = []; // the panels that can be seen: not those of closed rows
let dashboard;
let timer;

async function start() {
  const answer = await fetch(`/api/dashboards/${encodeURIComponent(place.dataset.uid)}`);
  if (!answer.ok) throw new Error(`the dashboard cannot be read: status ${answer.status}`);
  dashboard = await answer.json();
  document.getElementById('panels').append(...sectionsOf(dashboard).map(section));
  await draw();
  document.addEventListener('visibilitychange', () => document.hidden || draw());
  onSchemeChange(draw);
  addEventListener('resize', afterwards(draw, 300));
}

function section({ row, panels }) {
  const made = panels.map((json) => new Panel(json));
  const grid = panels.length ? gridOf(panels, (json) => made[panels.indexOf(json)].box) : '';
  if (!row) {
    open.push(...made);
    return element('section', {}, grid);
  }
  const details = element(
    'details',
    { class: 'row', open: !row.collapsed },
    element('summary', {}, row.title ?? ''),
    grid,
  );
  if (!row.collapsed) open.push(...made);
  details.addEventListener('toggle', () => {
    if (details.open === open.includes(made[0])) return; // the browser also tells of the state it begins in
    if (details.open) open.push(...made);
    else open.splice(0, open.length, ...open.filter((panel) => !made.includes(panel)));
    if (details.open) draw();
  });
  return details;
}

async function draw() {
  clearTimeout(timer);
  const time = chosenTime(dashboard);
  const range = { start: moment(time.from), end: moment(time.to) };
  const troubles = [];
  const variables = new Variables();
  troubles.push(...(await variables.resolve(dashboard, asked, range)));
  const context = { range, scrape, variables, annotations: [], zoom };
  try {
    context.annotations = await findAnnotations(dashboard, context);
  } catch (error) {
    troubles.push(`annotations: ${error.message}`);
  }
  drawControls(document.getElementById('controls'), variables, time, draw);
  drawLinks(variables);
  carryOn(variables);
  trouble.hidden = !troubles.length;
  trouble.textContent = troubles.join('. ');
  await Promise.all(open.map((panel) => panel.draw(context)));
  place.dataset.drawn = String(Number(place.dataset.drawn ?? 0) + 1);
  again(duration(time.refresh));
}

function again(seconds) {
  clearTimeout(timer);
  if (seconds) timer = setTimeout(() => (document.hidden ? again(seconds) : draw()), seconds * 1000);
}

const zoom = (start, end) =>
  choose({ from: String(Math.round(start * 1000)), to: String(Math.round(end * 1000)) }, draw);

// Links to elsewhere; what is here stands in the menu already.
function drawLinks(variables) {
  const made = (dashboard.links ?? [])
    .filter((one) => one.type === 'link' && one.url)
    .map((one) => {
      const address = safeAddress(variables.replace(one.url, {}, 'address'));
      const here = address && new URL(address, location.href).origin === location.origin;
      return address && !here && element('a', { href: address, title: one.tooltip }, `${one.title} ↗`);
    })
    .filter(Boolean);
  const links = document.getElementById('links');
  links.hidden = !made.length;
  links.replaceChildren(...made);
}

// The menu's dashboards open on the model and the time span that are looked at here.
function carryOn(variables) {
  const kept = new URLSearchParams(
    [...new URLSearchParams(location.search)].filter(([name]) => ['var-model', 'from', 'to'].includes(name)),
  );
  for (const model of variables.values('model')) kept.set('var-model', model);
  for (const one of document.querySelectorAll('header nav a[href^="/d/"]'))
    one.setAttribute('href', `${one.pathname}?${kept}`);
}

function afterwards(action, milliseconds) {
  let waiting;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(action, milliseconds);
  };
}

start().catch((error) => {
  trouble.hidden = false;
  trouble.textContent = error.message;
  console.error(error);
});
