// Talking to the server that served this page. All addresses are relative: the page's own holds the secret path.

/** What went wrong, in a sentence for the user; `setting` names the control that it is about, if any. */
export class Refused extends Error {
  constructor(sentence, setting = null) {
    super(sentence);
    this.setting = setting;
  }
}

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Refused("The viewer was ended: start `mltk view_audio` again.");
  }
  if (!response.ok) {
    const told = await response.json().catch(() => ({ error: `The viewer failed (${response.status}): see its terminal.` }));
    throw new Refused(told.error, told.setting);
  }
  return response;
}

export const getJson = async (path) => (await request(path)).json();
export const getBlob = async (path) => (await request(path)).blob();

const post = (path, body) => request(path, { method: "POST", body });

/** NaN, which JSON does not know, becomes null: the server says what it expects instead. */
export const postJson = async (path, values) => (await post(path, JSON.stringify(values))).json();
export const postBytes = async (path, bytes) => (await post(path, bytes)).json();

/** Posts and returns the answer's JSON with its array as `values`. */
export async function postForArray(path, body) {
  const response = await post(path, body instanceof ArrayBuffer || ArrayBuffer.isView(body) ? body : JSON.stringify(body));
  const data = await response.arrayBuffer();
  const length = new DataView(data).getUint32(0, true);
  const head = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const kind = head.dtype === "int8" ? Int8Array : Uint16Array;
  return { ...head, values: new kind(data, 4 + length) };
}
