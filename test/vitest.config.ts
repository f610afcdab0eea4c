import { defineConfig } from 'vitest/config';

// Many tests start a store, and with it two threads that load its sources: with the cache in half the time.
process.env.NODE_COMPILE_CACHE ??= new URL('../node_modules/.cache/node', import.meta.url).pathname;

export default defineConfig({
  root: new URL('..', import.meta.url).pathname,
  test: {
    include: ['test/**/*.test.ts', 'examples/**/*.test.ts'],
    // All cores: the tests wait for disks, processes and sockets more than they compute.
    maxWorkers: '100%',
    // Thousands of tests of processes, sockets and disks on two cores: one that is late once is tried again in CI.
    retry: process.env.CI === 'true' ? 1 : 0,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});
