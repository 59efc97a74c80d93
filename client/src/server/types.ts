/** The server's shapes, by the names that this page uses. `schema.d.ts` is generated: `npm run api:types`. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Collection = Schemas["CollectionOut"];
export type Picture = Schemas["ImageOut"];
export type Hit = Schemas["HitOut"];
export type Found = Schemas["SearchResult"];
export type Page = Schemas["ImageList"];
export type Session = Schemas["SessionOut"];
export type System = Schemas["SystemOut"];
export type Forgotten = Schemas["Forgotten"];
/** A line of the query language, read. */
export type Line = Schemas["LineOut"];
export type Removed = Schemas["RemovedOut"];
export type Copies = Schemas["Copies"];
export type Came = Schemas["Came"];
export type TrashList = Schemas["TrashList"];
export type TrashEntry = Schemas["TrashEntry"];
export type JobFailure = Schemas["FailureOut"];
/** A list of jobs comes without failures; one job, asked for by its id, brings the first hundred. */
export type Job = Schemas["JobOut"] & Partial<Pick<Schemas["JobDetail"], "failures">>;

export type FilterValue = string | number | boolean | readonly (string | number)[];
/** What pictures must fulfil, by the names of the server's conditions, of which there may be more than this page knows. */
export type Filter = Readonly<Record<string, FilterValue>>;
/** A condition that the server knows. */
export type Condition = Schemas["FilterField"];
export type Format = Schemas["FormatOut"];
export type Facets = Schemas["FacetsOut"];
export type FolderList = Schemas["FolderList"];
/** What a search makes one hit of. */
export type Collapse = "duplicates" | "bursts";
/** How a list of pictures is ordered. */
export type Sort = "imported" | "taken" | "name";
