// What grows while the microphone runs, in memory that does not.

const MOST_VALUES = 1 << 24;
const MOST_TIMES = 1 << 14;
const BIN_MS = 10;
const MOST_BINS = 60_000;

/** Rows of features; when there are too many, the older half goes. */
export class Growing {
  constructor({ channels, window_ms, step_ms, centres_hz }) {
    this.features = { channels, window_ms, step_ms, centres_hz, values: new Uint16Array(0), frames: 0, first: 0, largest: 0, dtype: "uint16" };
  }

  add(values, frames, dtype) {
    const { features } = this;
    const kind = values.constructor;
    const used = features.frames * features.channels;
    if (features.dtype !== dtype || used + values.length > features.values.length) {
      const kept = features.values.subarray(0, used);
      features.values = new kind(Math.max(2 * (used + values.length), 1 << 14));
      features.values.set(kept);
      features.dtype = dtype;
    }
    features.values.set(values, used);
    features.frames += frames;
    features.largest = values.reduce((a, b) => (b > a ? b : a), features.largest);
    if (features.frames * features.channels > MOST_VALUES) {
      const gone = features.frames >> 1;
      features.values.copyWithin(0, gone * features.channels);
      features.first += gone;
      features.frames -= gone;
    }
  }
}

/** The lowest and the highest sample of every 10 ms, as 16-bit values. */
export class LiveWave {
  constructor(rate_hz) {
    this.bin = Math.max(Math.round((rate_hz * BIN_MS) / 1000), 1);
    this.wave = { low: [], high: [], bin_ms: (this.bin * 1000) / rate_hz, first: 0 };
    this.low = this.high = this.filled = 0;
  }

  add(samples) {
    for (const sample of samples) {
      this.low = Math.min(this.low, sample);
      this.high = Math.max(this.high, sample);
      this.filled += 1;
      if (this.filled === this.bin) {
        this.wave.low.push(this.low * 32768);
        this.wave.high.push(this.high * 32768);
        this.low = this.high = this.filled = 0;
      }
    }
  }

  shown() {
    const { wave } = this;
    if (wave.low.length > MOST_BINS) {
      const gone = wave.low.length >> 1;
      wave.low.splice(0, gone);
      wave.high.splice(0, gone);
      wave.first += gone;
    }
    return wave;
  }
}

/** Adds what a chunk brought; the oldest goes when there is too much. */
export function joinHeard(heard, more) {
  for (const key of ["times_ms", "scores", "detections"]) {
    heard[key].push(...more[key]);
    if (heard[key].length > MOST_TIMES) {
      heard[key].splice(0, MOST_TIMES >> 1);
    }
  }
}
