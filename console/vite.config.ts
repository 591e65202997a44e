import { defineConfig } from 'vite';

/** The admin port that `npm run dev` shows: of this machine, unless FLAMBEAU_ADMIN names another. */
const admin = (globalThis as { process?: { env: Record<string, string | undefined> } }).process?.env.FLAMBEAU_ADMIN;
const proxy = Object.fromEntries(
  ['/api', '/metrics', '/healthz', '/readyz'].map((path) => [path, admin ?? 'http://127.0.0.1:8081']),
);

export default defineConfig({
  // Relative, so that a reverse proxy may put the console below a path of its own.
  base: './',
  esbuild: { legalComments: 'none' },
  build: {
    target: 'es2022',
    assetsInlineLimit: 0,
    // hls.js is a chunk of its own, fetched by the first player.
    chunkSizeWarningLimit: 700,
  },
  server: { host: '127.0.0.1', proxy },
  preview: { host: '127.0.0.1', proxy },
});
