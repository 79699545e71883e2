// Panel kinds by the name that the dashboard's JSON has for them. A kind: (panel, frames, context) -> element(s).
import { drawBarGauge } from './bargauge.js';
import { drawHeatmap } from './heatmap.js';
import { drawStat } from './stat.js';
import { drawStateTimeline } from './statetimeline.js';
import { drawTable } from './table.js';
import { drawText } from './text.js';
import { drawTimeseries } from './timeseries.js';

export const KINDS = {
  bargauge: drawBarGauge,
  heatmap: drawHeatmap,
  stat: drawStat,
  'state-timeline': drawStateTimeline,
  table: drawTable,
  text: drawText,
  timeseries: drawTimeseries,
};
