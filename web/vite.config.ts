// SPDX-License-Identifier: Apache-2.0
// Built into files that the relay serves from memory: names with hashes, a piece for each page, nothing inline (see the CSP in web.md).
import { defineConfig } from 'vite';

export default defineConfig({
    base: './',
    esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
    build: {
        target: 'es2020',
        assetsInlineLimit: 0,
        modulePreload: { polyfill: false },
        reportCompressedSize: true,
        emptyOutDir: true,
        rollupOptions: { output: { manualChunks: undefined } },
    },
});
