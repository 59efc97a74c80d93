/** Whether the built page's scripts are as small as they are meant to be: `npm run budget`, after `npm run build`. */

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";

const FIRST = 130; // kB of script, gzip, before the page can be used
const ALL = 250; // kB in all, whatever one does there

const dist = new URL("../dist/", import.meta.url);
if (!existsSync(new URL("index.html", dist))) {
  process.stderr.write("There is no build to measure: run `npm run build` first.\n");
  process.exit(1);
}
const sizeOf = (file) => gzipSync(readFileSync(new URL(file, dist)), { level: 9 }).length / 1000;
const html = readFileSync(new URL("index.html", dist), "utf8");
const first = [...html.matchAll(/(?:src|href)="\.?\/(assets\/[^"]+\.js)"/g)].map(([, file]) => file);
const all = readdirSync(new URL("assets/", dist))
  .filter((file) => file.endsWith(".js"))
  .map((file) => `assets/${file}`);

let over = false;
for (const [what, files, most] of [
  ["at first load", first, FIRST],
  ["in all", all, ALL],
]) {
  const size = files.reduce((sum, file) => sum + sizeOf(file), 0);
  over ||= files.length === 0 || size > most;
  process.stdout.write(`Scripts ${what}: ${size.toFixed(1)} kB gzip, at most ${most} kB\n`);
}
if (over) process.stderr.write("The page is too heavy: load what is seldom used when it is wanted, or leave it out.\n");
process.exit(over ? 1 : 0);
