// Opens a page in headless Chromium and tells what went over the wire.
//
//     node browse.mjs PLAN.json
//
// The plan names the browser, the folder of the page, where results go, and the steps. Stdout
// has one JSON object a line; after {"event": "pause"} it waits for a line on stdin.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import path from 'node:path';
import { chromium } from 'playwright-core';

const STEP_MS = 240_000; // on a machine that has more to do
const SETTLE_MS = 60_000;
const plan = JSON.parse(await readFile(process.argv[2], 'utf8'));
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const tell = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

const TYPES = {
  '.css': 'text/css',
  '.html': 'text/html',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.wasm': 'application/wasm',
  '.woff2': 'font/woff2',
};

/** Serves the page; what it PUTs under /results/ is written into the folder of results. */
const server = createServer(async (request, response) => {
  const name = decodeURIComponent(new URL(request.url, 'http://page').pathname);
  try {
    if (request.method === 'PUT') {
      const pieces = [];
      for await (const piece of request) pieces.push(piece);
      await writeFile(path.join(plan.results, path.basename(name)), Buffer.concat(pieces));
      response.writeHead(201).end();
      return;
    }
    const asked = path.extname(name) ? path.normalize(name) : '/index.html'; // a route of the page
    const data = plan.replace?.[asked] ?? (await readFile(path.join(plan.page, asked)));
    const type = TYPES[path.extname(asked)] ?? 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': type }).end(data);
  } catch (error) {
    response.writeHead(error.code === 'ENOENT' ? 404 : 500).end();
  }
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const address = `http://127.0.0.1:${server.address().port}`;

const browser = await chromium.launch({
  executablePath: plan.browser,
  timeout: STEP_MS,
  headless: true,
  args: [
    '--no-sandbox', // Chromium's own refuses to run as root
    '--use-angle=swiftshader',
    '--enable-unsafe-swiftshader',
    '--disable-gpu-watchdog', // it ends what draws where that is slow
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const requests = new Map();
const messages = [];
try {
  const context = await browser.newContext({ viewport: plan.viewport });
  context.setDefaultTimeout(STEP_MS);
  const page = await context.newPage();
  page.on('console', (message) => messages.push(`${message.type()}: ${message.text()}`));
  page.on('pageerror', (error) => messages.push(`error: ${error.stack ?? error}`));
  const session = await context.newCDPSession(page);
  await watch(session, requests);
  await page.exposeFunction('aboutToSend', async (url, range) => {
    if (!plan.pauseBefore || !new RegExp(plan.pauseBefore).test(`${range} ${url}`)) return;
    plan.pauseBefore = null;
    tell({ event: 'pause', url, range });
    await lines.next();
  });
  const results = [];
  for (const step of plan.steps) {
    if (step.open) await page.goto(`${address}${step.open}`);
    if (step.bytesPerSecond) await throttle(session, step.bytesPerSecond);
    if (step.show) {
      const shown = page.evaluate((scenario) => window.show(scenario), step.show);
      results.push(await within(STEP_MS, shown));
    }
    if (step.sharpen) {
      const seen = page.evaluate((scenario) => window.sharpen(scenario), step.sharpen);
      results.push(await within(STEP_MS, seen));
    }
    if (step.click) await page.locator(step.click).first().click();
    if (step.waitFor) await page.locator(step.waitFor).first().waitFor();
    if (step.until) await page.waitForFunction(step.until);
    if (step.evaluate) results.push(await page.evaluate(step.evaluate));
    if (step.screenshot) await page.screenshot({ path: path.join(plan.results, step.screenshot) });
  }
  await settled(requests);
  tell({
    event: 'done',
    browser: browser.version(),
    results,
    console: messages,
    requests: [...requests.values()].filter(({ url }) => url).map((found) => ({ got: {}, ...found })),
  });
} catch (error) {
  tell({ event: 'failed', error: String(error), console: messages });
  process.exitCode = 1;
} finally {
  await browser.close();
  server.close();
  process.stdin.destroy();
}

/** Note each request to the DICOMweb service with the fields that were really sent and got. */
async function watch(session, requests) {
  const entry = (id) => {
    if (!requests.has(id)) requests.set(id, { sent: {} });
    return requests.get(id);
  };
  const lowered = (headers) =>
    Object.fromEntries(Object.entries(headers).map(([name, text]) => [name.toLowerCase(), text]));
  const dropped = new Set();
  session.on('Network.requestWillBeSent', ({ requestId, request, type }) => {
    if (!request.url.startsWith(plan.service)) {
      dropped.add(requestId);
      requests.delete(requestId);
      return;
    }
    Object.assign(entry(requestId), { url: request.url, method: request.method, type });
  });
  session.on('Network.requestWillBeSentExtraInfo', ({ requestId, headers }) => {
    if (!dropped.has(requestId)) entry(requestId).sent = lowered(headers);
  });
  session.on('Network.responseReceived', ({ requestId, response, hasExtraInfo }) => {
    if (dropped.has(requestId)) return;
    const found = entry(requestId);
    found.fromDiskCache = response.fromDiskCache;
    found.awaited = hasExtraInfo && !('got' in found);
    found.status ??= response.status;
    found.got ??= lowered(response.headers);
  });
  session.on('Network.responseReceivedExtraInfo', ({ requestId, headers, statusCode }) => {
    if (!dropped.has(requestId)) {
      const answer = { got: lowered(headers), status: statusCode, awaited: false };
      Object.assign(entry(requestId), answer);
    }
  });
  session.on('Network.loadingFailed', ({ requestId, errorText }) => {
    if (!dropped.has(requestId)) entry(requestId).failed = errorText;
  });
  await session.send('Network.enable');
}

/** Chromium tells what it did later than the page has it: wait for the fields of every answer. */
async function settled(requests) {
  const open = ({ url, got, awaited, failed }) => url && !failed && (!got || awaited);
  const end = Date.now() + SETTLE_MS;
  while ([...requests.values()].some(open) && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Make the wire as slow as that from now on. */
async function throttle(session, bytesPerSecond) {
  await session.send('Network.emulateNetworkConditions', {
    offline: false,
    latency: 0,
    downloadThroughput: bytesPerSecond,
    uploadThroughput: -1,
  });
}

async function within(limitMs, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`nothing came of it in ${limitMs} ms`)), limitMs);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
