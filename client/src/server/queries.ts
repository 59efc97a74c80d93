/** What the page knows of the server, fetched once and kept: collections, the system, single pictures. */

import { notifyManager, QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useCallback } from "react";
import { api } from "./client";
import { asProblem, type Problem } from "./problem";
import type { Collection, Condition, Facets, Format, Picture, System } from "./types";

const FALLBACK = "tsir"; // the server's own default, until it has said otherwise
const RETRY_MS = 3000; // while the server is away or still starting
export const EMPTY_MS = 3000; // between looks at an empty library: others may fill it

notifyManager.setScheduler(queueMicrotask); // an answer is shown when it is there, not a timer later

export const queryClient = new QueryClient({
  // A server on this machine answers without any network.
  defaultOptions: { queries: { networkMode: "always", retry: false, refetchOnWindowFocus: false } },
});

export interface Library {
  collections: readonly Collection[] | null;
  /** Name of the collection on screen. It may not exist yet. */
  current: string;
  /** The collection on screen, once the server has told of it. */
  about: Collection | undefined;
  /** The server answers and this collection holds nothing. */
  empty: boolean;
  system: System | null;
  problem: Problem | null;
  refresh: () => Promise<void>;
}

/** What the server holds and what it is; asks again until the server answers. `wanted` is the collection in the page's address. */
export function useLibrary(wanted: string | null): Library {
  const client = useQueryClient();
  const persistent = {
    // Without a key the answer stays the same, until the user gives one.
    retry: (_: number, error: Error) => asProblem(error).status !== 401,
    retryDelay: RETRY_MS,
  };
  const system = useQuery({
    queryKey: ["system"],
    queryFn: api.system,
    staleTime: Number.POSITIVE_INFINITY,
    ...persistent,
  });
  const nameAmong = (collections: readonly Collection[] | undefined): string => {
    const usual = system.data?.default_collection;
    const first = collections?.[0]?.name;
    // The default one may have been renamed or dropped.
    const there = !first || collections?.some((collection) => collection.name === usual);
    return wanted ?? (there ? usual : first) ?? first ?? FALLBACK;
  };
  const find = (collections: readonly Collection[] | undefined): Collection | undefined => {
    const name = nameAmong(collections);
    return collections?.find((collection) => collection.name === name);
  };
  const { data, error, failureReason } = useQuery({
    queryKey: ["collections"],
    queryFn: api.collections,
    refetchOnWindowFocus: "always",
    refetchInterval: ({ state }) => (state.data && !find(state.data)?.count ? EMPTY_MS : false),
    ...persistent,
  });
  const refresh = useCallback(() => client.invalidateQueries({ queryKey: ["collections"] }), [client]);
  const about = find(data);
  const reason = failureReason ?? error ?? system.failureReason;
  return {
    collections: data ?? null,
    current: nameAmong(data),
    about,
    empty: data !== undefined && !about?.count,
    system: system.data ?? null,
    problem: reason && asProblem(reason),
    refresh,
  };
}

const NONE: readonly never[] = [];

/** What the server is, once it has said. */
function useSystem(): System | undefined {
  return useQuery({ queryKey: ["system"], queryFn: api.system, staleTime: Number.POSITIVE_INFINITY }).data;
}

/** The names of all collections, as far as one knows. */
export const useCollectionNames = (): readonly string[] =>
  useQuery({ queryKey: ["collections"], queryFn: api.collections, enabled: false }).data?.map(({ name }) => name) ??
  NONE;

/** The picture formats that the server reads; none until it has said. */
export const useFormats = (): readonly Format[] => useSystem()?.formats ?? NONE;

/** What pictures can be filtered by; nothing until the server has said. */
export const useConditions = (): readonly Condition[] => useSystem()?.filters ?? NONE;

/** Folders of the server that may be imported. */
export const useRoots = (): readonly string[] => useSystem()?.import_roots ?? NONE;

/** Folders, cameras and formats that occur in a collection, the most frequent first. */
export function useFacets(collection: string): Record<"folders" | "cameras" | "formats", string[]> | null {
  const { data } = useQuery({
    queryKey: ["facets", collection],
    queryFn: ({ signal }) => api.facets(collection, signal),
    retry: false,
  });
  const values = (counts: Facets["folders"]): string[] => counts.flatMap(({ value }) => value ?? []);
  if (!data) return null;
  return { folders: values(data.folders), cameras: values(data.cameras), formats: values(data.formats) };
}

/** What a file chooser offers: pictures, by type and, where the browser knows no type, by ending; zips of them where they are taken, too. */
export function useAccept(zips = false): string {
  const endings = useFormats().flatMap((format) => format.suffixes);
  return ["image/*", ...endings, ...(zips ? [".zip", "application/zip"] : [])].join(",");
}

/** One picture by its id; nothing is asked while the id is null. */
export function usePicture(
  collection: string,
  id: number | null,
): { picture: Picture | null; problem: Problem | null } {
  const { data, error } = useQuery({
    queryKey: ["picture", collection, id],
    queryFn: ({ signal }) => api.image(collection, id ?? 0, signal),
    enabled: id !== null,
  });
  return { picture: data ?? null, problem: error && asProblem(error) };
}

/** A picture of any of the collections: the first that has it tells of it. */
export function usePictureOf(collections: readonly string[], id: number): Picture | null {
  const { data } = useQuery({
    queryKey: ["picture", collections, id],
    queryFn: async ({ signal }) => {
      const filter = { ids: [id], missing: "any" };
      for (const name of collections) {
        const { images } = await api.images(name, { filter, sort: "imported" }, null, 1, signal);
        if (images[0]) return images[0];
      }
      return null;
    },
  });
  return data ?? null;
}
