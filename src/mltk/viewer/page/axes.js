// Where things are: sizes of a panel, round numbers for an axis.

export const LEFT = 54;
export const RIGHT = 62;

/** Fits a canvas to its place on the screen's own pixels; returns its context in CSS pixels, and its size. */
export function prepare(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w;
    canvas.height = h;
  }
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  context.font = `11px ${getComputedStyle(document.body).fontFamily}`;
  return { context, width, height, plot: Math.max(width - LEFT - RIGHT, 10), ratio };
}

/** The smallest of 1, 2, 5, 10, ... that is at least `least`. */
export function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= least * 0.999999);
}

export function timeTicks(view, pixels) {
  const step = roundStep(((view.end - view.start) * 85) / pixels);
  const ticks = [];
  for (let time = Math.ceil(view.start / step) * step; time <= view.end; time += step) {
    ticks.push(time);
  }
  const digits = Math.max(0, Math.ceil(-Math.log10(step / 1000) - 1e-9));
  return ticks.map((time) => ({ time, text: `${(time / 1000).toFixed(digits)} s` }));
}

const HERTZ = [50, 100, 200, 300, 500, 1000, 1500, 2000, 3000, 4000, 6000, 8000, 12000, 16000, 24000, 48000, 96000];

/** Round frequencies with their place in channels, at least `gap` channels apart. */
export function frequencyTicks(centres, gap) {
  const ticks = [];
  for (const hertz of HERTZ) {
    const above = centres.findIndex((centre) => centre >= hertz);
    if (above < 1) {
      continue;
    }
    const [low, high] = [centres[above - 1], centres[above]];
    const channel = above - 1 + (hertz - low) / (high - low);
    if (!ticks.length || channel - ticks[ticks.length - 1].channel >= gap) {
      ticks.push({ channel, text: hertz >= 1000 ? `${hertz / 1000} kHz` : `${hertz} Hz` });
    }
  }
  return ticks;
}

export const hertzText = (hertz) => (hertz >= 1000 ? `${(hertz / 1000).toFixed(2)} kHz` : `${hertz.toFixed(0)} Hz`);
