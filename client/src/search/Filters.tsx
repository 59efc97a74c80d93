import { useEffect, useId, useRef, useState } from "react";
import type { Filter } from "../api/types";
import { FilterIcon } from "../ui/icons";

const SHAPES = [
  { value: undefined, label: "Any" },
  { value: "landscape", label: "Wide" },
  { value: "portrait", label: "Tall" },
  { value: "square", label: "Square" },
] as const;
const FORMATS = ["JPEG", "PNG", "WEBP", "HEIF", "GIF"] as const;

interface Props {
  filter: Filter;
  onChange: (filter: Filter) => void;
}

/** The filter without its empty members. */
function tidy(filter: { [K in keyof Filter]: Filter[K] | undefined }): Filter {
  return Object.fromEntries(
    Object.entries(filter).filter(
      ([, value]) => value !== undefined && value !== "" && !(Array.isArray(value) && value.length === 0),
    ),
  ) as Filter;
}

export function Filters({ filter, onChange }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const panel = useId();
  const active = Object.keys(filter).length;

  useEffect(() => {
    if (!open) return;
    const close = (event: Event): void => {
      if (event instanceof KeyboardEvent ? event.key === "Escape" : !root.current?.contains(event.target as Node))
        setOpen(false);
    };
    document.addEventListener("pointerdown", close);
    document.addEventListener("keydown", close);
    return () => {
      document.removeEventListener("pointerdown", close);
      document.removeEventListener("keydown", close);
    };
  }, [open]);

  const toggleFormat = (name: string): void => {
    const now = filter.formats ?? [];
    onChange(tidy({ ...filter, formats: now.includes(name) ? now.filter((other) => other !== name) : [...now, name] }));
  };

  return (
    <div className="filters" ref={root}>
      <button
        type="button"
        className={`pill${active > 0 ? " on" : ""}`}
        aria-expanded={open}
        aria-controls={panel}
        onClick={() => setOpen(!open)}
      >
        <FilterIcon /> Filters{active > 0 ? ` · ${active}` : ""}
      </button>
      {open && (
        <fieldset className="popover" id={panel}>
          <legend className="visually-hidden">Filters</legend>
          <fieldset className="segments">
            <legend>Shape</legend>
            {SHAPES.map(({ value, label }) => (
              <label key={label}>
                <input
                  type="radio"
                  name="shape"
                  checked={filter.orientation === value}
                  onChange={() => onChange(tidy({ ...filter, orientation: value }))}
                />
                <span>{label}</span>
              </label>
            ))}
          </fieldset>
          <div className="pair">
            <label className="field">
              <span>Taken from</span>
              <input
                type="date"
                value={filter.taken_after ?? ""}
                onChange={(event) => onChange(tidy({ ...filter, taken_after: event.target.value }))}
              />
            </label>
            <label className="field">
              <span>to</span>
              <input
                type="date"
                value={filter.taken_before ?? ""}
                onChange={(event) => onChange(tidy({ ...filter, taken_before: event.target.value }))}
              />
            </label>
          </div>
          <fieldset className="segments">
            <legend>Type</legend>
            {FORMATS.map((name) => (
              <label key={name}>
                <input
                  type="checkbox"
                  checked={filter.formats?.includes(name) ?? false}
                  onChange={() => toggleFormat(name)}
                />
                <span>{name === "WEBP" ? "WebP" : name === "HEIF" ? "HEIC" : name}</span>
              </label>
            ))}
          </fieldset>
          <button type="button" className="button small" disabled={active === 0} onClick={() => onChange({})}>
            Clear filters
          </button>
        </fieldset>
      )}
    </div>
  );
}
