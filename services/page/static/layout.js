// A dashboard's panels in; sections of a 24-column grid out, one a row, closed ones not asked for yet.
import { element } from './dom.js';

// [{ row: the row panel or null, panels: [...] }]
export function sectionsOf(dashboard) {
  const sections = [{ row: null, panels: [] }];
  for (const panel of dashboard.panels ?? []) {
    if (panel.type !== 'row') sections.at(-1).panels.push(panel);
    else sections.push({ row: panel, panels: [...(panel.collapsed ? (panel.panels ?? []) : [])] });
  }
  return sections.filter(({ row, panels }) => row || panels.length);
}

export function gridOf(panels, makeBox) {
  const top = Math.min(...panels.map((panel) => panel.gridPos?.y ?? 0));
  const ordered = [...panels].sort(
    (a, b) => (a.gridPos?.y ?? 0) - (b.gridPos?.y ?? 0) || (a.gridPos?.x ?? 0) - (b.gridPos?.x ?? 0),
  );
  return element(
    'div',
    { class: 'grid' },
    ordered.map((panel) => place(makeBox(panel), panel, top)),
  );
}

function place(box, { gridPos: { x = 0, y = 0, w = 12, h = 8 } = {}, type }, top) {
  box.style.gridColumn = `${x + 1} / span ${w}`;
  box.style.gridRow = `${y - top + 1} / span ${h}`;
  box.style.setProperty('--h', h);
  box.classList.add(`kind-${type.replace(/[^\w-]/g, '')}`, w <= 6 ? 'narrow' : 'wide');
  return box;
}
