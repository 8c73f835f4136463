// The stage: waveform, spectrogram and scores over one axis of time.

import { LEFT, RIGHT, frequencyTicks, prepare, timeTicks } from "./axes.js";
import { palettes } from "./colours.js";

const AXIS = 20;
const FLAG = 17;
const SHORTEST_VIEW_MS = 50;

export class Stage {
  /** `canvases`: wave, spectrogram, posteriors. What is shown is set as attributes; `draw()` shows it. */
  constructor(canvases) {
    this.canvases = canvases;
    this.features = null; // {values, frames, first, channels, dtype, window_ms, step_ms, centres_hz}
    this.wave = null; // {low, high, bin_ms, first}
    this.heard = null; // {times_ms, scores, detections}
    this.labels = [];
    this.colours = [];
    this.thresholds = [];
    this.hidden = new Set();
    this.palette = "Ember";
    this.duration_ms = 0;
    this.view = { start: 0, end: 1000 };
    this.cursor_ms = null;
    this.window = null; // {start, end}: what the model saw
    this.bitmap = document.createElement("canvas");
    this.waiting = false;
    new ResizeObserver(() => this.draw()).observe(canvases.spectrogram);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  // time

  show(start, end) {
    const span = Math.min(Math.max(end - start, SHORTEST_VIEW_MS), Math.max(this.duration_ms, SHORTEST_VIEW_MS));
    const first = Math.min(Math.max(start, 0), Math.max(this.duration_ms - span, 0));
    this.view = { start: first, end: first + span };
    this.draw();
  }

  fit() {
    this.show(0, this.duration_ms);
  }

  zoom(factor, around = (this.view.start + this.view.end) / 2) {
    const { start, end } = this.view;
    this.show(around - (around - start) * factor, around + (end - around) * factor);
  }

  timeAt(clientX) {
    const box = this.canvases.spectrogram.getBoundingClientRect();
    const part = (clientX - box.left - LEFT) / Math.max(box.width - LEFT - RIGHT, 1);
    return this.view.start + part * (this.view.end - this.view.start);
  }

  /** The value under the pointer: {time_ms, channel, centre_hz, value}, where there is one. */
  valueAt(clientX, clientY) {
    const { features } = this;
    const box = this.canvases.spectrogram.getBoundingClientRect();
    const time_ms = this.timeAt(clientX);
    const part = (clientY - box.top - FLAG) / (box.height - AXIS - FLAG);
    if (!features || part < 0 || part >= 1 || time_ms < this.view.start || time_ms > this.view.end) {
      return null;
    }
    const frame = Math.floor((time_ms - this.#origin()) / features.step_ms) - features.first;
    const channel = features.channels - 1 - Math.floor(part * features.channels);
    if (frame < 0 || frame >= features.frames) {
      return null;
    }
    const value = features.values[frame * features.channels + channel];
    return { time_ms, channel, centre_hz: features.centres_hz[channel], value };
  }

  /** Where frame 0's column begins: a frame stands at its window's middle, as wide as a step. */
  #origin() {
    return (this.features.window_ms - this.features.step_ms) / 2;
  }

  // drawing

  draw() {
    if (!this.waiting) {
      this.waiting = true;
      requestAnimationFrame(() => {
        this.waiting = false;
        this.#draw();
      });
    }
  }

  #draw() {
    const style = getComputedStyle(document.documentElement);
    this.ink = Object.fromEntries(
      ["text", "quiet", "grid", "wave", "plot", "accent"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
    this.#drawWave();
    this.#drawSpectrogram();
    if (!this.canvases.posteriors.hidden) {
      this.#drawPosteriors();
    }
  }

  #x(time, plot) {
    return LEFT + ((time - this.view.start) / (this.view.end - this.view.start)) * plot;
  }

  /** Keeps what follows within the panel's plot. */
  #clipped(context, left, top, width, height, paint) {
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    paint();
    context.restore();
  }

  #grid({ context, plot }, top, bottom) {
    context.strokeStyle = this.ink.grid;
    context.lineWidth = 1;
    context.beginPath();
    for (const { time } of timeTicks(this.view, plot)) {
      const x = Math.round(this.#x(time, plot)) + 0.5;
      context.moveTo(x, top);
      context.lineTo(x, bottom);
    }
    context.stroke();
  }

  #marks({ context, plot }, top, bottom, shade = "rgba(110, 90, 230, 0.16)") {
    this.#clipped(context, LEFT, top, plot, bottom - top, () => {
      if (this.window) {
        const [left, right] = [this.#x(this.window.start, plot), this.#x(this.window.end, plot)];
        context.fillStyle = shade;
        context.fillRect(left, top, right - left, bottom - top);
      }
      for (const detection of this.heard?.detections ?? []) {
        const x = Math.round(this.#x(detection.time_ms, plot)) + 0.5;
        this.#line(context, x, top, bottom, this.colours[detection.class_id], [4, 3]);
      }
      if (this.cursor_ms !== null) {
        const x = this.#x(this.cursor_ms, plot);
        this.#line(context, x, top, bottom, "rgba(0, 0, 0, 0.6)", [], 3);
        this.#line(context, x, top, bottom, "#ff5a4f", [], 1.5);
      }
    });
  }

  #line(context, x, top, bottom, colour, dash = [], width = 1.5) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(x, top);
    context.lineTo(x, bottom);
    context.stroke();
    context.setLineDash([]);
  }

  #drawWave() {
    const panel = prepare(this.canvases.wave);
    const { context, height, plot } = panel;
    this.#grid(panel, 0, height);
    context.fillStyle = this.ink.quiet;
    context.textAlign = "right";
    context.textBaseline = "middle";
    context.fillText("level", LEFT - 8, height / 2);
    if (this.wave) {
      this.#clipped(context, LEFT, 0, plot, height, () => this.#paintWave(panel));
    }
    this.#marks(panel, 0, height);
  }

  #paintWave({ context, height, plot }) {
    const { low, high, bin_ms, first } = this.wave;
    const middle = height / 2;
    const loudest = Math.max(1000, high.reduce((a, b) => Math.max(a, b), 0), -low.reduce((a, b) => Math.min(a, b), 0));
    const scale = (middle - 3) / loudest;
    const from = Math.max(Math.floor(this.view.start / bin_ms) - first, 0);
    const to = Math.min(Math.ceil(this.view.end / bin_ms) - first, low.length);
    context.fillStyle = this.ink.wave;
    const width = Math.max((bin_ms / (this.view.end - this.view.start)) * plot, 1) + 0.3;
    for (let bin = from; bin < to; bin += 1) {
      const top = middle - high[bin] * scale;
      const tall = Math.max((high[bin] - low[bin]) * scale, 1);
      context.fillRect(this.#x((first + bin) * bin_ms, plot), top, width, tall);
    }
  }

  #drawSpectrogram() {
    const panel = prepare(this.canvases.spectrogram);
    const { context, height, plot } = panel;
    const bottom = height - AXIS;
    context.fillStyle = this.ink.plot;
    context.fillRect(LEFT, FLAG, plot, bottom - FLAG);
    if (this.features && this.features.frames) {
      this.#clipped(context, LEFT, FLAG, plot, bottom - FLAG, () => this.#paintFeatures(panel, bottom));
      this.#frequencies(panel, bottom);
      this.#colourLegend(panel, bottom);
    }
    context.fillStyle = this.ink.quiet;
    context.textAlign = "center";
    context.textBaseline = "top";
    for (const { time, text } of timeTicks(this.view, plot)) {
      context.fillText(text, this.#x(time, plot), bottom + 5);
    }
    this.#marks(panel, FLAG, bottom, "rgba(255, 255, 255, 0.22)");
    this.#flags(panel);
  }

  #paintFeatures({ context, plot, ratio }, bottom) {
    const { features, view } = this;
    const origin = this.#origin();
    const from = Math.max(Math.floor((view.start - origin) / features.step_ms) - features.first, 0);
    const to = Math.min(Math.ceil((view.end - origin) / features.step_ms) - features.first, features.frames);
    if (to <= from) {
      return;
    }
    const columns = Math.min(to - from, Math.max(Math.round(plot * ratio), 1));
    this.#fillBitmap(from, to, columns);
    const left = this.#x((features.first + from) * features.step_ms + origin, plot);
    const right = this.#x((features.first + to) * features.step_ms + origin, plot);
    context.imageSmoothingEnabled = features.channels > (bottom - FLAG) * ratio;
    context.drawImage(this.bitmap, left, FLAG, right - left, bottom - FLAG);
  }

  /** Where there are more frames than pixels, a column shows the largest values of its frames. */
  #fillBitmap(from, to, columns) {
    const { values, channels } = this.features;
    const { low, high } = this.range();
    const scale = 255 / Math.max(high - low, 1);
    const colours = palettes[this.palette];
    this.bitmap.width = columns;
    this.bitmap.height = channels;
    const context = this.bitmap.getContext("2d");
    const image = context.createImageData(columns, channels);
    for (let column = 0; column < columns; column += 1) {
      const begin = from + Math.floor((column * (to - from)) / columns);
      const end = Math.max(from + Math.floor(((column + 1) * (to - from)) / columns), begin + 1);
      for (let channel = 0; channel < channels; channel += 1) {
        let value = values[begin * channels + channel];
        for (let frame = begin + 1; frame < end; frame += 1) {
          value = Math.max(value, values[frame * channels + channel]);
        }
        const colour = 3 * Math.min(Math.max(Math.round((value - low) * scale), 0), 255);
        const pixel = 4 * ((channels - 1 - channel) * columns + column);
        image.data[pixel] = colours[colour];
        image.data[pixel + 1] = colours[colour + 1];
        image.data[pixel + 2] = colours[colour + 2];
        image.data[pixel + 3] = 255;
      }
    }
    context.putImageData(image, 0, 0);
  }

  /** The values that the darkest and the brightest colour stand for. */
  range() {
    return this.features.dtype === "int8" ? { low: -128, high: 127 } : { low: 0, high: Math.max(this.features.largest, 1) };
  }

  #frequencies({ context }, bottom) {
    const { channels, centres_hz: centres } = this.features;
    const tall = (bottom - FLAG) / channels;
    context.fillStyle = this.ink.quiet;
    context.textAlign = "right";
    context.textBaseline = "middle";
    for (const { channel, text } of frequencyTicks(centres, 24 / tall)) {
      const y = bottom - (channel + 0.5) * tall;
      context.fillText(text, LEFT - 8, y);
      context.fillRect(LEFT - 5, Math.round(y), 4, 1);
    }
  }

  #colourLegend({ context, width }, bottom) {
    const left = width - RIGHT + 14;
    const colours = palettes[this.palette];
    const gradient = context.createLinearGradient(0, bottom, 0, FLAG);
    for (let i = 0; i < 256; i += 15) {
      gradient.addColorStop(i / 255, `rgb(${colours[3 * i]}, ${colours[3 * i + 1]}, ${colours[3 * i + 2]})`);
    }
    context.fillStyle = gradient;
    context.fillRect(left, FLAG, 11, bottom - FLAG);
    context.strokeStyle = this.ink.grid;
    context.strokeRect(left + 0.5, FLAG + 0.5, 10, bottom - FLAG - 1);
    const { low, high } = this.range();
    context.fillStyle = this.ink.quiet;
    context.textAlign = "left";
    for (const [part, baseline] of [[0, "bottom"], [0.5, "middle"], [1, "top"]]) {
      context.textBaseline = baseline;
      const value = Math.round(low + (high - low) * part);
      context.fillText(String(value).replace("-", "−"), left + 15, bottom - (bottom - FLAG) * part);
    }
  }

  #flags({ context, plot }) {
    const detections = this.heard?.detections ?? [];
    let free = -Infinity;
    context.textBaseline = "middle";
    context.textAlign = "left";
    this.#clipped(context, LEFT - 1, 0, plot + RIGHT, FLAG, () => {
      for (const { time_ms, label, score, class_id: id } of detections) {
        const x = this.#x(time_ms, plot);
        if (x < LEFT || x > LEFT + plot) {
          continue;
        }
        const text = `${label} ${score}`;
        const wide = context.measureText(text).width + 10;
        // Near the right end it stands to the left of its line; where there is no room, the line is enough.
        const left = x + wide > LEFT + plot + RIGHT ? x - wide : x;
        if (left < free) {
          continue;
        }
        free = left + wide + 2;
        context.fillStyle = this.colours[id];
        context.fillRect(left - 0.75, 0, wide, FLAG - 2);
        context.fillStyle = "#101322";
        context.fillText(text, left + 4.5, FLAG / 2 - 0.5);
      }
    });
  }

  #drawPosteriors() {
    const panel = prepare(this.canvases.posteriors);
    const { context, height, plot } = panel;
    const [top, bottom] = [8, height - 6];
    const y = (score) => bottom - (score / 255) * (bottom - top);
    this.#grid(panel, top, bottom);
    context.textBaseline = "middle";
    context.fillStyle = this.ink.quiet;
    context.textAlign = "left";
    context.fillText("score", LEFT + plot + 10, y(128));
    context.textAlign = "right";
    for (const score of [0, 128, 255]) {
      context.fillStyle = this.ink.quiet;
      context.fillText(String(score), LEFT - 8, y(score));
      context.fillStyle = this.ink.grid;
      context.fillRect(LEFT, Math.round(y(score)), plot, 1);
    }
    this.#clipped(context, LEFT, 0, plot, height, () => {
      this.labels.forEach((label, id) => {
        if (!this.hidden.has(id)) {
          this.#curve(context, plot, y, id);
        }
      });
    });
    this.#marks(panel, top, bottom);
  }

  #curve(context, plot, y, id) {
    const { times_ms: times, scores } = this.heard ?? { times_ms: [], scores: [] };
    context.strokeStyle = this.colours[id];
    context.lineJoin = "round";
    if (!this.labels[id].startsWith("_")) {
      context.lineWidth = 1;
      context.setLineDash([2, 4]);
      context.beginPath();
      context.moveTo(LEFT, y(this.thresholds[id]));
      context.lineTo(LEFT + plot, y(this.thresholds[id]));
      context.stroke();
      context.setLineDash([]);
    }
    context.lineWidth = 1.8;
    context.beginPath();
    for (let i = 0; i < times.length; i += 1) {
      // A point before the view and one behind it, so that the curve runs through its edges.
      if ((times[i + 1] ?? Infinity) >= this.view.start && (times[i - 1] ?? -Infinity) <= this.view.end) {
        context.lineTo(this.#x(times[i], plot), y(scores[i][id]));
      }
    }
    context.stroke();
  }
}
