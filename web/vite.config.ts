// Builds the session page (app/) into app/dist and runs the unit tests of client/ and app/.
// The page lives at /s/SESSION, so its assets have absolute paths.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  root: here('app'),
  base: '/',
  resolve: { alias: { '@amphi/client': here('client/index.ts') } },
  build: { outDir: here('app/dist'), emptyOutDir: true, target: 'es2022', sourcemap: true },
  test: { root: here('.'), include: ['client/**/*.test.ts', 'app/**/*.test.ts'], environment: 'node' },
});
