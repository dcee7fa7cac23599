// `window.sharpen(scenario)` decodes a progressive answer as it comes, and tells all.
import openJph from '@cornerstonejs/codec-openjph/wasmjs';
import wasm from '@cornerstonejs/codec-openjph/wasm?url';
import { readProgressive } from './progressive.js';

/** Show at the reductions in `shown`; the first requests end behind `breaks` bytes each. */
export async function sharpen({ url, shown, breaks = [] }) {
  const codec = await openJph({ locateFile: () => wasm });
  const decoder = new codec.HTJ2KDecoder();
  const pictures = [];
  let description;
  for await (const update of readProgressive(url, breaking([...breaks]))) {
    description = update.description;
    if (!shown.includes(update.reduction)) continue;
    const file = `picture-${pictures.length}.bin`;
    const samples = decode(decoder, update);
    const { frame, reduction, isWhole, received, total } = update;
    pictures.push({ file, frame, reduction, isWhole, received, total });
    await fetch(`results/${file}`, { method: 'PUT', body: samples });
  }
  return { description, pictures };
}

function decode(decoder, { codestream, reduction }) {
  decoder.getEncodedBuffer(codestream.length).set(codestream);
  decoder.decodeSubResolution(reduction);
  return decoder.getDecodedBuffer().slice();
}

/** `fetch` whose answers break off, as a wire does; each takes its length from `breaks`. */
function breaking(breaks) {
  return async (url, options) => {
    const response = await fetch(url, options);
    if (!breaks.length) return response;
    let left = breaks.shift();
    const short = new TransformStream({
      transform(chunk, controller) {
        controller.enqueue(chunk.subarray(0, left));
        left -= chunk.length;
        if (left <= 0) controller.error(new TypeError('network error'));
      },
    });
    const { status, headers } = response;
    return new Response(response.body.pipeThrough(short), { status, headers });
  };
}
