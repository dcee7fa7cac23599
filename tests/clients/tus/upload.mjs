// Uploads a file: upload.mjs ENDPOINT FILE [CHUNK_BYTES] [PARALLEL]. Says where it is, and how
// often it had to go on.
import { createReadStream, readFileSync } from "node:fs";
import { Upload } from "tus-js-client";

const [endpoint, path, chunkBytes = "0", parallel = "1"] = process.argv.slice(2);
const file = Number(parallel) > 1 ? readFileSync(path) : createReadStream(path);
let retries = 0;

const upload = new Upload(file, {
  endpoint,
  chunkSize: Number(chunkBytes) || Infinity,
  parallelUploads: Number(parallel),
  retryDelays: Array(60).fill(0),
  metadata: { filename: "image.dcm", filetype: "application/dicom" },
  uploadSize: Number(parallel) > 1 ? undefined : readFileSync(path).length,
  onShouldRetry: (error, attempt, options) => {
    const status = error.originalResponse ? error.originalResponse.getStatus() : 0;
    const again = status < 400 || status >= 500 || status === 409 || status === 423;
    retries += again ? 1 : 0;
    return again;
  },
  onError: (error) => {
    console.log(JSON.stringify({ error: String(error), retries }));
    process.exitCode = 1;
  },
  onSuccess: () => console.log(JSON.stringify({ url: upload.url, retries })),
});
upload.start();
