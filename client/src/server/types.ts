/** The server's shapes, by the names that this page uses. `schema.d.ts` is generated: `npm run api:types`. */

import type { components } from "./schema";

type Schemas = components["schemas"];

export type Collection = Schemas["CollectionOut"];
export type Picture = Schemas["ImageOut"];
export type Hit = Schemas["HitOut"];
export type Found = Schemas["SearchResult"];
export type Page = Schemas["ImageList"];
export type System = Schemas["SystemOut"];
export type JobFailure = Schemas["FailureOut"];
/** A list of jobs comes without failures; one job, asked for by its id, brings the first hundred. */
export type Job = Schemas["JobOut"] & Partial<Pick<Schemas["JobDetail"], "failures">>;

/** What hits must fulfil; sent as JSON. */
export type Filter = Schemas["Filter"];
export type Format = Schemas["FormatOut"];
