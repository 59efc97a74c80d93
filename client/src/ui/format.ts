/** Numbers, sizes and times as people read them. */

export const count = (value: number): string => value.toLocaleString("en");

/** "1 picture", "2,000 pictures" */
export const pictures = (value: number): string => `${count(value)} ${value === 1 ? "picture" : "pictures"}`;

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB"];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${(value / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}

export function duration(seconds: number): string {
  if (seconds < 1) return "a moment";
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  return `${(seconds / 3600).toFixed(1)} h`;
}

export function date(iso: string): string {
  const when = new Date(iso);
  return Number.isNaN(when.getTime()) ? iso : when.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" });
}

export const baseName = (path: string): string => path.split(/[\\/]/).at(-1) || path;

/** Cosines lie between -1 and 1; two decimals tell hits apart poorly, four pretend to know more than the model. */
export const score = (value: number): string => value.toFixed(3);
