import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";
import { precompress } from "./tools/precompress.ts";

// `npm run dev` forwards these to a running API; in production the GUI and the API share one origin.
const api = process.env.API_UPSTREAM ?? "http://127.0.0.1:5000";

export default defineConfig({
  plugins: [react(), precompress()],
  // Parts are named relative to the page's <base>, which the server writes: the page may lie below a proxy's path.
  base: "./",
  // light-dark(), the popover API and container units must reach the browser as they are: the substitutes of older targets do not nest.
  // All of these know modulepreload by themselves.
  build: { target: ["chrome123", "edge123", "firefox125", "safari17.5"], modulePreload: { polyfill: false } },
  server: {
    proxy: Object.fromEntries(["/api", "/img", "/data", "/progress", "/health"].map((path) => [path, api])),
  },
  test: { environment: "node", include: ["src/**/*.test.ts"] },
});
