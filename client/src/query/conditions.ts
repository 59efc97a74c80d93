/** Conditions that the server knows, as people read and set them. What this page has no words for is shown in the server's. */

import { has, type Translate } from "../i18n";
import { count, list } from "../i18n/format";
import type { Condition, Filter, FilterValue, Format } from "../server/types";

/** Conditions that are shown at once; the others stand below "More conditions". */
const FIRST = ["orientation", "taken_after", "taken_before", "folder", "camera", "formats", "has_location"] as const;
/** What nobody sets by hand. */
const UNSEEN = new Set(["ids"]);

/** Those that are shown at once, in this page's order, and the others, in the server's. */
export function arranged(known: readonly Condition[]): { first: readonly Condition[]; rest: readonly Condition[] } {
  const place = ({ name }: Condition): number => (FIRST as readonly string[]).indexOf(name);
  const shown = known.filter(({ kind }) => !UNSEEN.has(kind));
  return {
    first: shown.filter((field) => place(field) >= 0).sort((a, b) => place(a) - place(b)),
    rest: shown.filter((field) => place(field) < 0),
  };
}

export function labelOf({ name, label }: Condition, t: Translate): string {
  const key = `filter.${name}`;
  return has(key) ? t(key) : label;
}

export function choicesOf({ name, choices }: Condition, t: Translate): { value: string; label: string }[] {
  return choices.map(({ value, label }) => {
    const key = `filter.${name}.${value}`;
    return { value, label: has(key) ? t(key) : label };
  });
}

/** The value that means the same as none: "missing: false". */
export const nothing = ({ choices }: Condition): string | undefined =>
  choices.some(({ value }) => value === "false") ? "false" : undefined;

/** The filter with a condition set anew, or without it where the value is empty. */
export function changed(filter: Filter, name: string, value: FilterValue | undefined): Filter {
  const { [name]: _, ...rest } = filter;
  const empty = value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
  return empty ? rest : { ...rest, [name]: value };
}

/** Each condition of a filter in words, with the filter that is left without it. */
export function inWords(
  filter: Filter,
  known: readonly Condition[],
  formats: readonly Format[],
  t: Translate,
): { words: string; without: Filter }[] {
  const said = (name: string, value: FilterValue): string => {
    const field = known.find((one) => one.name === name);
    if (!field) return `${name}: ${value}`;
    const label = labelOf(field, t);
    const chosen = choicesOf(field, t).find((choice) => choice.value === String(value))?.label ?? String(value);
    if (name === "orientation") return chosen;
    if (name === "taken_after") return t("filters.since", { day: String(value) });
    if (name === "taken_before") return t("filters.until", { day: String(value) });
    switch (field.kind) {
      case "flag":
        return value ? label : t("filters.not", { what: label });
      case "formats":
        return list([value].flat().map((one) => formats.find((format) => format.name === one)?.label ?? String(one)));
      case "pixels":
        return `${label}: ${count(Number(value))} px`;
      default:
        return `${label}: ${chosen}`;
    }
  };
  return Object.entries(filter).map(([name, value]) => ({
    words: said(name, value),
    without: changed(filter, name, undefined),
  }));
}
