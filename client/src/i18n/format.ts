/** Numbers, sizes and times as people read them, in the language that is spoken. */

import { spoken } from "./index";

const number = (value: number, digits: number, grouped = true): string =>
  new Intl.NumberFormat(spoken().locale, {
    minimumFractionDigits: digits,
    maximumFractionDigits: digits,
    useGrouping: grouped,
  }).format(value);

export const count = (value: number): string => number(value, 0);

/** "1 picture", "2,000 pictures" */
export const pictures = (value: number): string => spoken().t("count.pictures", { count: value });

export function bytes(value: number): string {
  const units = ["B", "kB", "MB", "GB"];
  const power = value < 1000 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(value) / 3));
  return `${number(value / 1000 ** power, power === 0 ? 0 : 1, false)} ${units[power]}`;
}

export function duration(seconds: number): string {
  const { t } = spoken();
  if (seconds < 1) return t("time.moment");
  if (seconds < 90) return t("time.seconds", { count: Math.round(seconds) });
  if (seconds < 5400) return t("time.minutes", { count: Math.round(seconds / 60) });
  return t("time.hours", { count: number(seconds / 3600, 1) });
}

/** Pictures a second. */
export const rate = (value: number): string => number(value, value < 10 ? 1 : 0);

/** A share 0..1 in whole percent, rounded down: 100 % is the end. */
export const percent = (share: number): string =>
  new Intl.NumberFormat(spoken().locale, { style: "percent" }).format(Math.floor(share * 100) / 100);

export function date(iso: string): string {
  const when = new Date(iso);
  if (Number.isNaN(when.getTime())) return iso;
  return new Intl.DateTimeFormat(spoken().locale, { dateStyle: "medium", timeStyle: "short" }).format(when);
}

/** A time as a camera wrote it: its own clock, whatever zone this browser is in. */
export function cameraDate(iso: string): string {
  const when = new Date(`${iso.slice(0, 19)}Z`);
  if (Number.isNaN(when.getTime())) return iso;
  return new Intl.DateTimeFormat(spoken().locale, { timeZone: "UTC", dateStyle: "medium", timeStyle: "short" }).format(
    when,
  );
}

/** A day ("2024-05-03") or a month ("2024-05") as a heading; "" where none is known. */
export function calendar(key: string, by: "day" | "month"): string {
  if (key === "") return spoken().t("gallery.undated");
  const when = new Date(by === "day" ? key : `${key}-01`);
  if (Number.isNaN(when.getTime())) return key;
  const written = new Intl.DateTimeFormat(spoken().locale, {
    timeZone: "UTC",
    year: "numeric",
    month: "long",
    ...(by === "day" && { day: "numeric" }),
  }).format(when);
  return by === "day" ? spoken().t("gallery.added", { date: written }) : written;
}

export const list = (items: readonly string[]): string => new Intl.ListFormat(spoken().locale).format(items);

/** Cosines lie between -1 and 1; two decimals tell hits apart poorly, four pretend to know more than the model. */
export const score = (value: number): string => number(value, 3);

/** Degrees to about a metre. */
export const degrees = (value: number): string => number(value, 5);

export const baseName = (path: string): string => path.split(/[\\/]/).at(-1) || path;
