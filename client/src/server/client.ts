import { currentKey, requestKey } from "./key";
import { noAnswer, problemOf } from "./problem";
import type { Collection, Filter, Found, Job, JobFailure, Page, Picture, System } from "./types";

declare global {
  interface Window {
    _env_?: { API_URL?: string };
  }
}

const base = typeof window === "undefined" ? "" : (window._env_?.API_URL ?? "").replace(/\/+$/, "");

async function send(path: string, init: RequestInit = {}): Promise<Response> {
  for (;;) {
    const headers = new Headers(init.headers);
    const key = currentKey();
    if (key) headers.set("Authorization", `Bearer ${key}`);
    let response: Response;
    try {
      response = await fetch(base + path, { ...init, headers });
    } catch (error) {
      if (init.signal?.aborted) throw error;
      throw noAnswer();
    }
    if (response.ok) return response;
    const trouble = problemOf(response.status, await response.text(), response.headers.get("Retry-After"));
    // A wrong or missing key: ask once for all requests that wait, then try again. Cancelling shows the server's sentence.
    if (response.status !== 401 || !(await requestKey(key, trouble))) throw trouble;
  }
}

async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await send(path, init)).json() as Promise<T>;
}

/** POST of a form whose sending can be watched, which fetch does not offer. The key is known by now: a request came before. */
function upload<T>(path: string, form: FormData, onSent: (share: number) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", base + path);
    const key = currentKey();
    if (key) request.setRequestHeader("Authorization", `Bearer ${key}`);
    request.upload.onprogress = (event) => onSent(event.total > 0 ? event.loaded / event.total : 0);
    request.onerror = () => reject(noAnswer());
    request.onload = () => {
      if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as T);
      else reject(problemOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
    };
    request.send(form);
  });
}

const withBody = (method: string, body: unknown): RequestInit => ({
  method,
  body: JSON.stringify(body),
  headers: { "Content-Type": "application/json" },
});

const at = (collection: string): string => `/api/v1/collections/${encodeURIComponent(collection)}`;

/** Address for <img>, links and EventSource, which cannot send headers: the key travels in the query. */
export function address(path: string, parameters: Record<string, string> = {}): string {
  const query = new URLSearchParams(parameters);
  const key = currentKey();
  if (key) query.set("key", key);
  const joint = path.includes("?") ? "&" : "?";
  return base + path + (query.size > 0 ? joint + query.toString() : "");
}

/** The stored picture that an address of this API shows; null for any other address. */
export function storedAt(given: string): { collection: string; id: number } | null {
  const url = URL.canParse(given, window.location.href) ? new URL(given, window.location.href) : null;
  const [, collection, id] = /^\/api\/v1\/collections\/([^/]+)\/images\/(\d+)\//.exec(url?.pathname ?? "") ?? [];
  const home = base ? new URL(base, window.location.href).origin : window.location.origin;
  return collection && url?.origin === home ? { collection: decodeURIComponent(collection), id: Number(id) } : null;
}

export interface SearchRequest {
  text: string;
  notText: string;
  sketch: Blob | null;
  image: Blob | null;
  like: number | null;
  weights: Record<string, number> | null;
  filter: Filter;
  limit: number;
  cursor: string | null;
}

export function searchForm(request: SearchRequest): FormData {
  const form = new FormData();
  if (request.text) form.set("text", request.text);
  if (request.notText) form.set("not_text", request.notText);
  if (request.sketch) form.set("sketch", request.sketch, "sketch.png");
  if (request.image) form.set("image", request.image, "image");
  if (request.like !== null) form.set("like", String(request.like));
  if (request.weights) form.set("weights", JSON.stringify(request.weights));
  if (Object.keys(request.filter).length > 0) form.set("filter", JSON.stringify(request.filter));
  form.set("limit", String(request.limit));
  if (request.cursor) form.set("cursor", request.cursor);
  return form;
}

export const api = {
  system: () => json<System>("/api/v1/system"),
  collections: async (): Promise<Collection[]> =>
    (await json<{ collections: Collection[] }>("/api/v1/collections")).collections,
  create: (name: string) => json<Collection>(at(name), { method: "PUT" }),
  reencode: (name: string) => json<Job>(`${at(name)}/reencode`, withBody("POST", {})),
  drop: async (name: string): Promise<void> => {
    await send(at(name), { method: "DELETE" });
  },
  images: (name: string, cursor: string | null, limit: number, signal?: AbortSignal) => {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor ? { cursor } : {}) });
    return json<Page>(`${at(name)}/images?${query}`, signal ? { signal } : {});
  },
  image: (name: string, id: number, signal?: AbortSignal) =>
    json<Picture>(`${at(name)}/images/${id}`, signal ? { signal } : {}),
  /** A stored picture itself, at most 768 px long. */
  picture: async (name: string, id: number): Promise<Blob> =>
    (await send(`${at(name)}/images/${id}/thumbnail?size=large`)).blob(),
  remove: async (name: string, id: number): Promise<void> => {
    await send(`${at(name)}/images/${id}`, { method: "DELETE", keepalive: true }); // also when the page is left
  },
  /** A picture's own file. `url`: its `file_url`. */
  original: (url: string): Promise<Response> => send(url),
  search: (name: string, request: SearchRequest, signal?: AbortSignal) =>
    json<Found>(`${at(name)}/search`, { method: "POST", body: searchForm(request), ...(signal ? { signal } : {}) }),
  importFolder: (name: string, path: string) => json<Job>(`${at(name)}/imports`, withBody("POST", { path })),
  importUrls: (name: string, urls: string[]) => json<Job>(`${at(name)}/imports`, withBody("POST", { urls })),
  importFiles: (name: string, files: readonly File[], onSent: (share: number) => void): Promise<Job> => {
    const form = new FormData();
    for (const file of files) form.append("files", file, file.name);
    return upload(`${at(name)}/imports`, form, onSent);
  },
  jobs: async (): Promise<Job[]> => (await json<{ jobs: Job[] }>("/api/v1/jobs?limit=50")).jobs,
  job: (id: number) => json<Job>(`/api/v1/jobs/${id}`),
  failures: async (id: number, offset: number): Promise<JobFailure[]> =>
    (await json<{ failures: JobFailure[] }>(`/api/v1/jobs/${id}/failures?offset=${offset}&limit=200`)).failures,
  cancel: async (id: number): Promise<void> => {
    await send(`/api/v1/jobs/${id}`, { method: "DELETE" });
  },
  jobEvents: (id: number) => new EventSource(address(`/api/v1/jobs/${id}/events`)),
};
