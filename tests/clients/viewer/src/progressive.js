// Reads `…/progressive`: frames of a series as they sharpen, over one answer that may break.

const text = new TextDecoder('latin1');

/**
 * Yields `{ frame, reduction, isWhole, codestream, description, received, total }` for every
 * part: what there is of `frame`, counted from 0, decodes to its image halved `reduction` times.
 * `read` is told how to ask: it is `fetch`, or does what that does.
 */
export async function* readProgressive(url, read = fetch) {
  const bytes = new ResumedBytes(url, read);
  const delimiter = `--${await bytes.boundary()}`;
  let description;
  const frames = new Map();
  while ((await bytes.line()) !== `${delimiter}--`) {
    const fields = new Map();
    for (let line = await bytes.line(); line; line = await bytes.line()) {
      const at = line.indexOf(':');
      fields.set(line.slice(0, at).toLowerCase(), line.slice(at + 1).trim());
    }
    const range = /bytes (\d+)-(\d+)\/(\d+)/.exec(fields.get('content-range') ?? '');
    if (!range) {
      const part = await bytes.take(Number(fields.get('content-length')));
      description ??= JSON.parse(text.decode(part));
      await bytes.line();
      continue;
    }
    const [first, last, size] = range.slice(1).map(Number);
    const part = await bytes.take(last - first + 1);
    await bytes.line();
    const frame = frameOf(description, fields.get('content-location'));
    const codestream = join(frames.get(frame) ?? new Uint8Array(), part);
    if (codestream.length !== last + 1) throw new Error(`frame ${frame} lacks bytes`);
    frames.set(frame, codestream);
    yield {
      frame,
      reduction: Number(fields.get('mersey-reduction')),
      isWhole: last + 1 === size,
      codestream,
      description,
      received: bytes.received,
      total: bytes.total,
    };
  }
}

/** The bytes of an answer, asked for again from where it broke: the rest of the same one. */
class ResumedBytes {
  constructor(url, read) {
    Object.assign(this, { url, read, held: new Uint8Array(), received: 0, total: 0 });
  }

  async boundary() {
    const response = await this.ask();
    return /boundary="?([^";]+)/.exec(response.headers.get('Content-Type'))[1];
  }

  async ask() {
    const again = this.received > 0;
    const response = await this.read(this.url, {
      headers: again ? { Range: this.rest(), 'If-Range': this.etag } : {},
    });
    if (response.status !== (again ? 206 : 200)) throw new Error(`status ${response.status}`);
    if (!again) this.etag = response.headers.get('ETag');
    const length = response.headers.get('Content-Length');
    if (length) this.total = this.received + Number(length);
    this.stream = response.body.getReader();
    return response;
  }

  /** All that follows, as it comes where the server still makes it (RFC 8673). */
  rest() {
    return `bytes=${this.received}-${Number.MAX_SAFE_INTEGER}`;
  }

  async more() {
    if (!this.stream) await this.ask();
    const { done, value } = await this.stream.read().catch(() => ({ done: true }));
    if (value) {
      this.received += value.length;
      this.held = join(this.held, value);
    }
    if (!done) return;
    if (!this.etag || this.received === this.total) throw new Error('the answer ended in a part');
    this.stream = null;
  }

  async take(length) {
    while (this.held.length < length) await this.more();
    const taken = this.held.slice(0, length);
    this.held = this.held.subarray(length);
    return taken;
  }

  async line() {
    for (let from = 0; ; ) {
      const end = this.held.indexOf(10, from);
      if (end >= 0) return text.decode(await this.take(end + 1)).replace(/\r?\n$/, '');
      from = this.held.length;
      await this.more();
    }
  }
}

function frameOf({ instances }, location) {
  const [, uid, number] = /(?:instances\/([0-9.]+)\/)?frames\/(\d+)$/.exec(location);
  let before = 0;
  for (const instance of instances) {
    if (!uid || instance.uid === uid) return before + Number(number) - 1;
    before += instance.frames;
  }
  throw new Error(`${uid} was not announced`);
}

function join(first, second) {
  const joined = new Uint8Array(first.length + second.length);
  joined.set(first);
  joined.set(second, first.length);
  return joined;
}
