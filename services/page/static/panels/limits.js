// The thresholds of the fields in; lines and tinted areas behind the plot out.
import { color, withAlpha } from '../colors.js';
import { thresholdSteps } from '../fields.js';
import { scaleOf } from './axes.js';

export function drawLimits(plot, fields) {
  const done = new Set();
  for (const field of fields) {
    const mode = field.config.custom.thresholdsStyle?.mode ?? 'off';
    const steps = thresholdSteps(field);
    const key = `${scaleOf(field)} ${mode} ${JSON.stringify(steps)}`;
    if (mode === 'off' || done.has(key)) continue;
    done.add(key);
    if (mode.includes('area')) drawAreas(plot, scaleOf(field), steps);
    if (mode.includes('line') || mode.includes('dashed'))
      drawLines(plot, scaleOf(field), steps, mode.includes('dashed'));
  }
}

function drawLines({ ctx, bbox, valToPos }, scale, steps, dashed) {
  ctx.save();
  clip(ctx, bbox);
  for (const step of steps.filter(
    ({ value, color: name }) => Number.isFinite(value) && name !== 'transparent',
  )) {
    const y = Math.round(valToPos(step.value, scale, true));
    ctx.beginPath();
    ctx.strokeStyle = color(step.color);
    ctx.lineWidth = 1.5 * devicePixelRatio;
    ctx.setLineDash(dashed ? [8, 6] : []);
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
  }
  ctx.restore();
}

function drawAreas({ ctx, bbox, valToPos }, scale, steps) {
  ctx.save();
  clip(ctx, bbox);
  steps.forEach((step, i) => {
    const bottom = Number.isFinite(step.value) ? valToPos(step.value, scale, true) : bbox.top + bbox.height;
    const top = i + 1 < steps.length ? valToPos(steps[i + 1].value, scale, true) : bbox.top;
    ctx.fillStyle = step.color === 'transparent' ? 'transparent' : withAlpha(color(step.color), 0.1);
    ctx.fillRect(bbox.left, top, bbox.width, bottom - top);
  });
  ctx.restore();
}

export function clip(ctx, bbox) {
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
}
