// Colours of spectrograms (tables of 256 RGB triples between a few stops) and of classes.

const STOPS = {
  Ember: ["#05040f", "#231151", "#5f187f", "#a3307e", "#e2585f", "#fb9a4b", "#fcd98a", "#fdfbe4"],
  Lagoon: ["#0a0a23", "#2c2a6b", "#2f5b8f", "#23868d", "#2cb17e", "#8ad34f", "#fbe723"],
  Ink: ["#ffffff", "#c9ccd6", "#83889b", "#3d4156", "#05060d"],
  Grey: ["#000000", "#ffffff"],
};

const parse = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

function table(stops) {
  const colours = stops.map(parse);
  const result = new Uint8ClampedArray(256 * 3);
  for (let i = 0; i < 256; i += 1) {
    const place = (i / 255) * (colours.length - 1);
    const left = Math.min(Math.floor(place), colours.length - 2);
    for (let c = 0; c < 3; c += 1) {
      result[3 * i + c] = colours[left][c] + (colours[left + 1][c] - colours[left][c]) * (place - left);
    }
  }
  return result;
}

export const palettes = Object.fromEntries(Object.entries(STOPS).map(([name, stops]) => [name, table(stops)]));

// Okabe and Ito's colours, which the colour-blind can tell apart, without the black.
const CLASSES = ["#56b4e9", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#0072b2", "#b8a90a", "#8f7bd6"];
const SILENT = ["#8a90a3", "#b3a79a"];

/** Labels that begin with '_' are never reported: they are greyish. */
export function classColours(labels) {
  const next = { loud: 0, silent: 0 };
  return labels.map((label) =>
    label.startsWith("_") ? SILENT[next.silent++ % SILENT.length] : CLASSES[next.loud++ % CLASSES.length],
  );
}
