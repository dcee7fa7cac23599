// Counts the bytes that came for each address, and can hold requests back before they are sent.

const received = new Map();

export const bytesReceived = (url) => received.get(url) ?? 0;

export function count(url, bytes) {
  received.set(url, bytesReceived(url) + bytes);
}

/** Count what `fetch` brings; `beforeSend(url, headers)` is awaited first. */
export function watchFetch(beforeSend) {
  const original = window.fetch;
  window.fetch = async (url, options) => {
    await beforeSend(String(url), options?.headers ?? {});
    const response = await original(url, options);
    if (!response.body) return response;
    const counting = new TransformStream({
      transform(chunk, controller) {
        count(String(url), chunk.byteLength);
        controller.enqueue(chunk);
      },
    });
    const { status, statusText, headers } = response;
    return new Response(response.body.pipeThrough(counting), { status, statusText, headers });
  };
}
