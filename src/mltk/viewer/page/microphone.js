// The microphone, sample by sample, in order and without the browser's improvements: a chip has none either.

import { Refused } from "./api.js";

// What waits for the server; a tab that slept has more, of which the oldest is dropped.
const LONGEST_WAIT_S = 5;

export class Microphone {
  /** `send(samples)` gets Float32Arrays one after the other, each when the one before is done. */
  static async open(send, failed) {
    if (!navigator.mediaDevices) {
      throw new Refused("This browser gives no page a microphone here: open the address with 127.0.0.1.");
    }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({
        audio: { echoCancellation: false, noiseSuppression: false, autoGainControl: false },
      });
    } catch (error) {
      const refused = error.name === "NotAllowedError";
      throw new Refused(
        refused
          ? "The browser refused the microphone: allow it beside the address and press the button again."
          : `There is no usable microphone (${error.message || error.name}): plug one in and press the button again.`,
      );
    }
    const context = new AudioContext();
    await context.audioWorklet.addModule("recorder-worklet.js");
    return new Microphone(stream, context, send, failed);
  }

  constructor(stream, context, send, failed) {
    Object.assign(this, { stream, context, send, failed, waiting: [], busy: false, closed: false });
    this.node = new AudioWorkletNode(context, "recorder", { numberOfOutputs: 1 });
    this.node.port.onmessage = (event) => this.#take(event.data);
    context.createMediaStreamSource(stream).connect(this.node);
    stream.getAudioTracks()[0].onended = () => failed(new Refused("The microphone is gone: plug it in and press the button again."));
    // Some browsers run only what leads to the loudspeaker; the node puts out silence.
    this.node.connect(context.destination);
  }

  get rate_hz() {
    return this.context.sampleRate;
  }

  /** Forgets what was not sent yet. */
  clear() {
    this.waiting = [];
  }

  async close() {
    this.closed = true;
    this.node.port.onmessage = null;
    for (const track of this.stream.getTracks()) {
      track.stop();
    }
    await this.context.close();
    await this.sending;
  }

  #take(samples) {
    this.waiting.push(samples);
    while (this.waiting.length * samples.length > LONGEST_WAIT_S * this.rate_hz) {
      this.waiting.shift();
    }
    if (!this.busy) {
      this.sending = this.#flush();
    }
  }

  async #flush() {
    this.busy = true;
    try {
      while (this.waiting.length && !this.closed) {
        const blocks = this.waiting;
        this.waiting = [];
        const samples = new Float32Array(blocks.reduce((sum, block) => sum + block.length, 0));
        let at = 0;
        for (const block of blocks) {
          samples.set(block, at);
          at += block.length;
        }
        await this.send(samples);
      }
    } catch (error) {
      this.failed(error);
    } finally {
      this.busy = false;
    }
  }
}
