import type { Like } from "../app/address";
import { requestKey, signIns } from "./key";
import { noAnswer, type Problem, problemOf } from "./problem";
import type {
  Came,
  Collapse,
  Collection,
  Copies,
  Facets,
  Filter,
  FolderList,
  Forgotten,
  Found,
  Job,
  JobFailure,
  Line,
  Page,
  Picture,
  Removed,
  Session,
  Sort,
  System,
  TrashList,
} from "./types";

declare global {
  interface Window {
    _env_?: { API_URL?: string };
  }
}

const base = typeof window === "undefined" ? "" : (window._env_?.API_URL ?? "").replace(/\/+$/, "");
const foreign = /^https?:/.test(base); // an API elsewhere gets the cookie of a sign-in only when it is told to take it
let withCookie = !foreign;

/** Sends again what was refused for want of a sign-in, once somebody has signed in; raises the refusal when nobody does. */
async function signedIn<T>(attempt: () => Promise<T>): Promise<T> {
  for (;;) {
    const before = signIns();
    try {
      return await attempt();
    } catch (error) {
      if ((error as Partial<Problem>).status !== 401) throw error;
      if (!withCookie) withCookie = true;
      else if (!(await requestKey(before, error as Problem))) throw error;
    }
  }
}

async function sendOnce(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(base + path, { ...init, credentials: foreign && withCookie ? "include" : "same-origin" });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw noAnswer();
  }
  if (response.ok) return response;
  throw problemOf(response.status, await response.text(), response.headers.get("Retry-After"));
}

const send = (path: string, init?: RequestInit): Promise<Response> => signedIn(() => sendOnce(path, init));

async function json<T>(path: string, init?: RequestInit): Promise<T> {
  return (await send(path, init)).json() as Promise<T>;
}

/** POST of a form whose sending can be watched, which fetch does not offer. */
function upload<T>(path: string, form: FormData, onSent: (share: number) => void): Promise<T> {
  const attempt = (): Promise<T> =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest();
      request.open("POST", base + path);
      request.withCredentials = foreign && withCookie;
      request.upload.onprogress = (event) => onSent(event.total > 0 ? event.loaded / event.total : 0);
      request.onerror = () => reject(noAnswer());
      request.onload = () => {
        if (request.status >= 200 && request.status < 300) resolve(JSON.parse(request.responseText) as T);
        else reject(problemOf(request.status, request.responseText, request.getResponseHeader("Retry-After")));
      };
      request.send(form);
    });
  return signedIn(attempt);
}

const withBody = (method: string, body: unknown): RequestInit => ({
  method,
  body: JSON.stringify(body),
  headers: { "Content-Type": "application/json" },
});

const at = (collection: string): string => `/api/v1/collections/${encodeURIComponent(collection)}`;

/** Address for <img> and links: the browser sends the cookie of a sign-in along. */
export function address(path: string, parameters: Record<string, string> = {}): string {
  const query = new URLSearchParams(parameters);
  const joint = path.includes("?") ? "&" : "?";
  return base + path + (query.size > 0 ? joint + query.toString() : "");
}

/** The stored picture that an address of this API shows; null for any other address. */
export function storedAt(given: string): { collection: string; id: number } | null {
  const url = URL.canParse(given, window.location.href) ? new URL(given, window.location.href) : null;
  const [, collection, id] = /\/api\/v1\/collections\/([^/]+)\/images\/(\d+)\//.exec(url?.pathname ?? "") ?? [];
  const home = base ? new URL(base, window.location.href).origin : window.location.origin;
  return collection && url?.origin === home ? { collection: decodeURIComponent(collection), id: Number(id) } : null;
}

export interface SearchRequest {
  text: string;
  notText: string;
  sketch: Blob | null;
  image: Blob | null;
  likes: readonly Like[];
  weights: Record<string, number> | null;
  filter: Filter;
  collapse: Collapse | null;
  everywhere: boolean;
  limit: number;
  cursor: string | null;
}

/** A list of pictures, while nothing is asked for. */
export interface Browse {
  filter: Filter;
  sort: Sort;
}

/** Whether words may be a line of the server's query language: with conditions, unwanted words or quotes. Others mean the same either way. */
export const isLine = (text: string): boolean => /[:"\\]|(^|\s)-/.test(text);

const likeField = ({ id, box }: Like): string =>
  box ? `${id}@${box.map((side) => side.toFixed(4)).join(",")}` : String(id);

export function searchForm(request: SearchRequest): FormData {
  const form = new FormData();
  if (request.text) form.set(isLine(request.text) ? "query" : "text", request.text);
  if (request.notText) form.set("not_text", request.notText);
  if (request.sketch) form.set("sketch", request.sketch, "sketch.png");
  if (request.image) form.set("image", request.image, "image");
  for (const like of request.likes) form.append(like.against ? "not_like" : "like", likeField(like));
  if (request.weights) form.set("weights", JSON.stringify(request.weights));
  if (Object.keys(request.filter).length > 0) form.set("filter", JSON.stringify(request.filter));
  if (request.everywhere) form.set("collections", "all");
  if (request.collapse) form.set("collapse", request.collapse);
  form.set("limit", String(request.limit));
  if (request.cursor) form.set("cursor", request.cursor);
  return form;
}

export const api = {
  /** Gives a key once, for a cookie that no script can read. Raises a Problem of status 401 when it is not one of the server's. */
  signIn: async (key: string): Promise<void> => {
    withCookie = true;
    await sendOnce("/api/v1/session", withBody("POST", { key }));
  },
  session: () => json<Session>("/api/v1/session"),
  signOut: async (): Promise<void> => {
    await send("/api/v1/session", { method: "DELETE" });
  },
  system: () => json<System>("/api/v1/system"),
  collections: async (): Promise<Collection[]> =>
    (await json<{ collections: Collection[] }>("/api/v1/collections")).collections,
  create: (name: string) => json<Collection>(at(name), { method: "PUT" }),
  reencode: (name: string) => json<Job>(`${at(name)}/reencode`, withBody("POST", {})),
  rename: (name: string, to: string) => json<Collection>(at(name), withBody("PATCH", { name: to })),
  drop: (name: string) => json<Removed>(at(name), { method: "DELETE" }),
  /** How many pictures of a collection were uploaded and lie nowhere else; `ids` null: of all. */
  onlyCopies: (name: string, ids: readonly number[] | null) =>
    json<Copies>(`${at(name)}/only-copies`, withBody("POST", { ids })),
  /** Takes missing pictures out. */
  forget: (name: string) => json<Forgotten>(`${at(name)}/forget`, withBody("POST", {})),
  /** Brings back what was taken out and lies in folders. */
  include: (name: string) => json<Came>(`${at(name)}/include`, withBody("POST", {})),
  /** Pictures of another collection, into this one. */
  add: (name: string, from: string, ids: readonly number[]) =>
    json<Came>(`${at(name)}/add`, withBody("POST", { from, ids })),
  images: (name: string, { filter, sort }: Browse, cursor: string | null, limit: number, signal?: AbortSignal) => {
    const query = new URLSearchParams({ limit: String(limit), ...(cursor ? { cursor } : {}) });
    if (Object.keys(filter).length > 0) query.set("filter", JSON.stringify(filter));
    if (sort !== "imported") query.set("sort", sort);
    return json<Page>(`${at(name)}/images?${query}`, signal ? { signal } : {});
  },
  facets: (name: string, signal?: AbortSignal) => json<Facets>(`${at(name)}/images/facets`, signal ? { signal } : {}),
  image: (name: string, id: number, signal?: AbortSignal) =>
    json<Picture>(`${at(name)}/images/${id}`, signal ? { signal } : {}),
  /** A stored picture itself, at most 768 px long. */
  picture: async (name: string, id: number): Promise<Blob> =>
    (await send(`${at(name)}/images/${id}/thumbnail?size=large`)).blob(),
  remove: (name: string, ids: readonly number[]) =>
    json<Removed>(`${at(name)}/images/remove`, withBody("POST", { ids })),
  trash: () => json<TrashList>("/api/v1/trash"),
  restore: (entry: string) => json<Came>(`/api/v1/trash/${encodeURIComponent(entry)}/restore`, { method: "POST" }),
  deleteForGood: async (entry: string): Promise<void> => {
    await send(`/api/v1/trash/${encodeURIComponent(entry)}`, { method: "DELETE" });
  },
  emptyTrash: async (): Promise<void> => {
    await send("/api/v1/trash", { method: "DELETE" });
  },
  /** A picture's own file. `url`: its `file_url`. */
  original: (url: string): Promise<Response> => send(url),
  search: (name: string, request: SearchRequest, signal?: AbortSignal) =>
    json<Found>(`${at(name)}/search`, { method: "POST", body: searchForm(request), ...(signal ? { signal } : {}) }),
  /** What a line of the query language asks. Raises a Problem that points at the word, where one cannot be read. */
  line: (query: string, signal?: AbortSignal) =>
    json<Line>(`/api/v1/query?${new URLSearchParams({ query })}`, signal ? { signal } : {}),
  /** The server's folders below one; null: those that may be imported. */
  folders: (path: string | null, signal: AbortSignal) =>
    json<FolderList>(`/api/v1/folders${path === null ? "" : `?${new URLSearchParams({ path })}`}`, { signal }),
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
  jobEvents: (id: number) =>
    new EventSource(address(`/api/v1/jobs/${id}/events`), { withCredentials: foreign && withCookie }),
};
