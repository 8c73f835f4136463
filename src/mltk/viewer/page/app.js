// The page: controls, a recording or the microphone, what the model hears, settings to copy.

import { Refused, getBlob, getJson, postBytes, postForArray, postJson } from "./api.js";
import { hertzText } from "./axes.js";
import { classColours, palettes } from "./colours.js";
import { Controls } from "./controls.js";
import { Growing, LiveWave, joinHeard } from "./growing.js";
import { Microphone } from "./microphone.js";
import { Stage } from "./plot.js";

const $ = (id) => document.getElementById(id);
const LIVE_VIEW_MS = 8000;
const TEXTS = ["python", "yaml", "json"];

const stage = new Stage({ wave: $("wave"), spectrogram: $("spectrogram"), posteriors: $("posteriors") });
const page = { clip: null, model: null, dtype: "uint16", text: "python", texts: {}, microphone: null, live: null };
let controls;

// what is wrong

function complain(error) {
  if (!(error instanceof Refused)) {
    throw error;
  }
  const beside = error.setting !== null && controls?.complain(error.setting, error.message);
  $("alert").hidden = Boolean(beside);
  $("alert").textContent = beside ? "" : error.message;
  // The picture is still that of the settings before.
  $("stage").classList.toggle("stale", Boolean(beside));
}

function allIsWell() {
  controls.clear();
  $("alert").hidden = true;
  $("stage").classList.remove("stale");
}

// One refresh at a time: what changes meanwhile is shown by the next.
let running = false;
let again = false;

async function refresh() {
  if (running) {
    again = true;
    return;
  }
  running = true;
  document.body.dataset.state = "busy";
  try {
    do {
      again = false;
      await apply().catch(complain);
    } while (again);
  } finally {
    running = false;
    document.body.dataset.state = "ready";
  }
}

async function apply() {
  const settings = { ...controls.values };
  const checked = await postJson("settings", { settings, changed_only: $("changed-only").checked });
  page.texts = checked.text;
  showText();
  allIsWell();
  if (page.microphone) {
    await restartLive(settings);
  } else if (page.clip) {
    const features = await postForArray("features", { settings, dtype: page.dtype });
    showFeatures({ ...features, first: 0, largest: features.values.reduce((a, b) => (b > a ? b : a), 0) });
    await showHeard(settings);
    document.body.dataset.drawn = JSON.stringify([features.frames, features.channels, features.dtype]);
  }
}

// what is shown

function showFeatures(features) {
  stage.features = features;
  const kind = features.dtype === "int8" ? "int8" : "uint16";
  $("shape").textContent = `${features.frames} frames × ${features.channels} channels, ${kind}`;
  stage.draw();
}

async function showHeard(settings) {
  if (!page.model) {
    return;
  }
  const note = $("heard-note");
  try {
    stage.heard = await postJson("detections", { settings });
    note.hidden = stage.heard.detections.length > 0;
    note.textContent = stage.heard.times_ms.length ? "Nothing was heard." : "Too short for the model: it was not run.";
  } catch (error) {
    stage.heard = null;
    note.hidden = false;
    note.textContent = error.message;
  }
  listDetections();
  stage.draw();
}

function listDetections() {
  const detections = stage.heard?.detections ?? [];
  $("heard-count").textContent = String(detections.length);
  $("detections").replaceChildren(...detections.map(detectionRow));
}

function detectionRow({ time_ms: time, label, score, class_id: id }) {
  const row = document.createElement("tr");
  const dot = document.createElement("i");
  dot.style.background = stage.colours[id];
  const cells = [`${(time / 1000).toFixed(3)} s`, label, String(score)].map((text) => {
    const cell = document.createElement("td");
    cell.textContent = text;
    return cell;
  });
  cells[1].prepend(dot);
  row.append(...cells);
  row.tabIndex = 0;
  row.title = "Click to jump to the window in which it was heard";
  const mark = (on) => {
    stage.window = on ? { start: time - page.model.window_ms, end: time } : null;
    stage.draw();
  };
  row.addEventListener("mouseenter", () => mark(true));
  row.addEventListener("mouseleave", () => mark(false));
  row.addEventListener("focus", () => mark(true));
  row.addEventListener("blur", () => mark(false));
  const jump = () => seek(Math.max(time - page.model.window_ms, 0));
  row.addEventListener("click", jump);
  row.addEventListener("keydown", (event) => event.key === "Enter" && jump());
  return row;
}

function showText() {
  $("text").textContent = page.texts[page.text] || (page.text === "python" ? "# as at the start" : "");
  for (const kind of TEXTS) {
    $(`as-${kind}`).setAttribute("aria-pressed", String(kind === page.text));
  }
  const target = page.model ? page.model.name : "MODEL";
  $("copy-note").textContent =
    page.text === "python" ? "For a model's specification." : `As a file for: mltk update_params ${target} --params FILE.${page.text}`;
}

// a recording

async function showClip(clip) {
  page.clip = clip;
  $("clip").hidden = false;
  $("clip").textContent = `${clip.name.split(/[\\/]/).pop()} · ${(clip.duration_ms / 1000).toFixed(2)} s · ${clip.sample_rate_hz} Hz`;
  $("empty").hidden = true;
  const [low, high] = clip.peaks;
  stage.wave = { low, high, bin_ms: clip.duration_ms / low.length, first: 0 };
  stage.duration_ms = clip.duration_ms;
  stage.heard = null;
  stage.cursor_ms = 0;
  stage.fit();
  const audio = $("audio");
  URL.revokeObjectURL(audio.src);
  audio.src = URL.createObjectURL(await getBlob("clip.wav"));
  audio.hidden = false;
  await refresh();
}

async function open(file) {
  if (!file) {
    return;
  }
  try {
    if (file.size > page.max_file_bytes) {
      const limit = page.max_file_bytes / 1e6;
      throw new Refused(`${file.name} has ${(file.size / 1e6).toFixed(0)} MB: files up to ${limit.toFixed(0)} MB are shown`);
    }
    await stopLive(false);
    const { clip } = await postBytes(`clip?name=${encodeURIComponent(file.name)}`, file);
    allIsWell();
    await showClip(clip);
  } catch (error) {
    complain(error);
  }
}

function seek(time_ms) {
  const audio = $("audio");
  if (page.clip && !page.microphone) {
    audio.currentTime = Math.min(Math.max(time_ms, 0), stage.duration_ms) / 1000;
  }
}

function followCursor() {
  const audio = $("audio");
  stage.cursor_ms = audio.currentTime * 1000;
  const { start, end } = stage.view;
  if (!audio.paused && (stage.cursor_ms > end || stage.cursor_ms < start)) {
    stage.show(stage.cursor_ms, stage.cursor_ms + end - start);
  }
  stage.draw();
  if (!audio.paused) {
    requestAnimationFrame(followCursor);
  }
}

// the microphone

async function toggleMicrophone() {
  const button = $("microphone");
  button.disabled = true;
  try {
    if (page.microphone) {
      await stopLive(true);
    } else {
      $("audio").pause();
      page.microphone = await Microphone.open(feed, microphoneFailed);
      $("empty").hidden = true;
      $("audio").hidden = true;
      button.setAttribute("aria-pressed", "true");
      button.lastElementChild.textContent = "Stop";
      await refresh();
    }
  } catch (error) {
    complain(error);
  } finally {
    button.disabled = false;
  }
}

async function restartLive(settings) {
  page.live = null;
  page.microphone.clear();
  const rate_hz = page.microphone.rate_hz;
  const started = await postJson("live/start", { settings, rate_hz });
  if (!page.microphone) {
    return; // stopped meanwhile
  }
  $("heard-note").hidden = !started.detection_error;
  $("heard-note").textContent = started.detection_error ?? "";
  $("clip").hidden = false;
  $("clip").textContent = `microphone · ${rate_hz} Hz`;
  page.live = { rows: new Growing(started), wave: new LiveWave(rate_hz), dtype: page.dtype };
  stage.heard = page.model && !started.detection_error ? { times_ms: [], scores: [], detections: [] } : null;
  stage.cursor_ms = null;
  listDetections();
}

async function feed(samples) {
  const { live } = page;
  if (!live) {
    return;
  }
  const got = await postForArray(`live/feed?dtype=${live.dtype}`, samples);
  if (live !== page.live) {
    return; // the settings changed meanwhile
  }
  live.rows.add(got.values, got.frames, got.dtype);
  live.wave.add(samples);
  stage.wave = live.wave.shown();
  stage.duration_ms = Math.max(got.time_ms, LIVE_VIEW_MS);
  if (got.heard && stage.heard) {
    joinHeard(stage.heard, got.heard);
    if (got.heard.detections.length) {
      listDetections();
      const list = $("detections").closest(".scroll");
      list.scrollTop = list.scrollHeight;
    }
  }
  showFeatures(live.rows.features);
  stage.show(got.time_ms - LIVE_VIEW_MS, Math.max(got.time_ms, LIVE_VIEW_MS));
  document.body.dataset.live = String(got.time_ms);
}

/** Ends the stream; `keep`: its sound becomes the recording that is shown. */
async function stopLive(keep) {
  if (!page.microphone) {
    return;
  }
  const { microphone } = page;
  await microphone.close();
  page.microphone = null;
  page.live = null;
  $("microphone").setAttribute("aria-pressed", "false");
  $("microphone").lastElementChild.textContent = "Microphone";
  if (keep) {
    await showClip((await postJson("live/stop", {})).clip);
  }
}

async function microphoneFailed(error) {
  await stopLive(false);
  if (page.clip) {
    await showClip(page.clip).catch(() => {}); // what went wrong first is told
  }
  complain(error);
}

// the user's hands

function choose(group, chosen) {
  for (const id of group) {
    $(id).setAttribute("aria-pressed", String(id === chosen));
  }
}

function readout(event) {
  const found = stage.valueAt(event.clientX, event.clientY);
  $("readout").textContent = found
    ? `${(found.time_ms / 1000).toFixed(3)} s · channel ${found.channel} · ${hertzText(found.centre_hz)} · value ${found.value}`
    : "";
}

function wireStage() {
  const box = $("stage");
  let dragged = null;
  box.addEventListener("pointerdown", (event) => {
    dragged = { x: event.clientX, view: { ...stage.view }, moved: false };
  });
  box.addEventListener("pointermove", (event) => {
    readout(event);
    if (dragged && event.buttons && Math.abs(event.clientX - dragged.x) > 3) {
      dragged.moved = true;
      const { start, end } = dragged.view;
      const shift = stage.timeAt(dragged.x) - stage.timeAt(event.clientX);
      stage.show(start + shift, end + shift);
    }
  });
  box.addEventListener("pointerup", (event) => {
    if (dragged && !dragged.moved) {
      seek(stage.timeAt(event.clientX));
    }
    dragged = null;
  });
  box.addEventListener("pointerleave", () => ($("readout").textContent = ""));
  box.addEventListener("dblclick", () => stage.fit());
  box.addEventListener(
    "wheel",
    (event) => {
      if (page.clip && !event.shiftKey && event.deltaY) {
        event.preventDefault();
        stage.zoom(Math.exp(Math.sign(event.deltaY) * 0.25), stage.timeAt(event.clientX));
      }
    },
    { passive: false },
  );
}

async function copyText() {
  const button = $("copy-text");
  try {
    await navigator.clipboard.writeText($("text").textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren($("text"));
    button.textContent = "Press Ctrl-C";
  }
  setTimeout(() => (button.textContent = "Copy"), 1500);
}

function wire() {
  wireStage();
  $("file").addEventListener("change", () => {
    open($("file").files[0]);
    $("file").value = "";
  });
  $("microphone").addEventListener("click", toggleMicrophone);
  $("reset").addEventListener("click", () => controls.reset());
  $("palette").append(...Object.keys(palettes).map((name) => new Option(name)));
  $("palette").addEventListener("change", () => ((stage.palette = $("palette").value), stage.draw()));
  $("zoom-in").addEventListener("click", () => stage.zoom(0.5));
  $("zoom-out").addEventListener("click", () => stage.zoom(2));
  $("zoom-fit").addEventListener("click", () => stage.fit());
  for (const dtype of ["uint16", "int8"]) {
    $(`show-${dtype}`).addEventListener("click", () => {
      page.dtype = dtype;
      choose(["show-uint16", "show-int8"], `show-${dtype}`);
      refresh();
    });
  }
  for (const kind of TEXTS) {
    $(`as-${kind}`).addEventListener("click", () => ((page.text = kind), showText()));
  }
  $("changed-only").addEventListener("change", refresh);
  $("copy-text").addEventListener("click", copyText);
  const audio = $("audio");
  for (const event of ["play", "seeked", "pause", "timeupdate"]) {
    audio.addEventListener(event, followCursor);
  }
  const dropping = (on) => (event) => {
    event.preventDefault();
    document.body.classList.toggle("dropping", on);
  };
  document.addEventListener("dragover", dropping(true));
  document.addEventListener("dragleave", dropping(false));
  document.addEventListener("drop", (event) => {
    dropping(false)(event);
    open(event.dataTransfer.files[0]);
  });
}

function showModel(model) {
  page.model = model;
  $("model").hidden = $("legend").hidden = $("heard").hidden = $("posteriors").hidden = !model;
  if (!model) {
    return;
  }
  $("model").textContent = model.name;
  stage.labels = model.labels;
  stage.thresholds = model.thresholds;
  stage.colours = classColours(model.labels);
  $("legend").append(
    ...model.labels.map((label, id) => {
      const line = document.createElement("i");
      line.style.background = stage.colours[id];
      const button = document.createElement("button");
      button.type = "button";
      button.setAttribute("aria-pressed", "true");
      button.append(line, label);
      button.addEventListener("click", () => {
        const hide = !stage.hidden.has(id);
        stage.hidden[hide ? "add" : "delete"](id);
        button.setAttribute("aria-pressed", String(!hide));
        stage.draw();
      });
      return button;
    }),
  );
}

async function start() {
  wire();
  const state = await getJson("state");
  page.max_file_bytes = state.max_file_bytes;
  controls = new Controls($("form"), state.form, state.settings, refresh);
  showModel(state.model);
  if (state.clip) {
    await showClip(state.clip);
  } else {
    await refresh();
  }
}

start().catch(complain);
