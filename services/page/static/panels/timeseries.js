// Lines, areas or bars over time, drawn by uPlot; limits and annotations over them, a legend below.
import uPlot from '../vendor/uPlot.esm.js';
import { element } from '../dom.js';
import { drawAnnotations } from './annotations.js';
import { axesOf, scalesOf } from './axes.js';
import { legendOf } from './legend.js';
import { drawLimits } from './limits.js';
import { bandsOf, seriesOf, stacked } from './lines.js';
import { tooltip } from './tooltip.js';

export function drawTimeseries(panel, frames, context) {
  const lines = frames.flatMap((frame) =>
    frame.fields.filter((field) => field.type === 'number').map((field) => ({ frame, field })),
  );
  if (!lines.some(({ field }) => field.values.some(Number.isFinite))) return null;
  const [times, ...values] = uPlot.join(
    lines.map(({ frame, field }) => [frame.fields[0].values, field.values.map(finite)]),
  );
  const fields = lines.map(({ field }) => field);
  const drawn = stacked(fields, values);
  const place = element('div', { class: 'plot' });
  const legend = legendOf(panel, fields);
  const options = {
    width: context.width,
    height: 100,
    legend: { show: false },
    padding: [8, null, 0, 0],
    scales: { x: { range: () => [context.range.start, context.range.end] }, ...scalesOf(fields, drawn) },
    axes: axesOf(fields, context.width),
    series: [{}, ...fields.map(seriesOf)],
    bands: bandsOf(fields),
    cursor: {
      sync: { key: 'relay', setSeries: false },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
      y: false,
    },
    hooks: {
      drawClear: [(plot) => drawLimits(plot, fields)],
      draw: [(plot) => drawAnnotations(plot, context.annotations)],
      setCursor: [tooltip(fields, values, context)],
      setSelect: [(plot) => zoom(plot, context)],
    },
  };
  return {
    elements: [place, legend?.box],
    mounted() {
      // sizes are known once the elements are in the page
      const plot = new uPlot(
        { ...options, height: Math.max(60, place.clientHeight) },
        [times, ...drawn],
        place,
      );
      legend?.steer((index, show) => plot.setSeries(index + 1, { show }));
      return () => plot.destroy();
    },
  };
}

const finite = (value) => (Number.isFinite(value) ? value : null);

function zoom(plot, context) {
  const { left, width } = plot.select;
  if (width < 8) return;
  context.zoom(plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x'));
}
