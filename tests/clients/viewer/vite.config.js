import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  base: './', // the page may lie anywhere
  resolve: {
    // vtk.js takes it for files that are not loaded here; its default build is for Node.
    alias: {
      xmlbuilder2: fileURLToPath(
        new URL('node_modules/xmlbuilder2/lib/xmlbuilder2.min.js', import.meta.url),
      ),
    },
  },
  worker: { format: 'es' }, // the decoders run in module workers
  build: { target: 'esnext', minify: false, chunkSizeWarningLimit: 20000 },
});
