/** Writes what is served as text once more, as brotli and as gzip: servers then send it small without any work of their own. */

import { readdir, readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import type { Plugin } from "vite";

const TEXT = /\.(js|css|html|svg|json|webmanifest)$/;
const LEAST = 1000; // bytes; below, a second file costs more than it saves
const OWN = new Set(["env-config.js"]); // told by the server at run time

const brotli = promisify(brotliCompress);
const zip = promisify(gzip);

async function compress(path: string): Promise<void> {
  const plain = await readFile(path);
  if (plain.length < LEAST) return;
  const small = { params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: plain.length } };
  await writeFile(`${path}.br`, await brotli(plain, small));
  await writeFile(`${path}.gz`, await zip(plain, { level: 9 }));
}

export function precompress(): Plugin {
  let folder = "";
  return {
    name: "precompress",
    apply: "build",
    configResolved: (config) => {
      folder = resolve(config.root, config.build.outDir);
    },
    closeBundle: async () => {
      const files = await readdir(folder, { recursive: true });
      const texts = files.filter((file) => TEXT.test(file) && !OWN.has(file));
      await Promise.all(texts.map((file) => compress(join(folder, file))));
    },
  };
}
