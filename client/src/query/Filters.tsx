import { ListFilter } from "lucide-react";
import { useEffect, useId, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import { count } from "../i18n/format";
import type { Filter } from "../server/types";
import { Button, Pill } from "../ui/Button";
import { Field } from "../ui/Field";
import styles from "./Filters.module.css";

const SHAPES = [undefined, "landscape", "portrait", "square"] as const;
/** The server's names of formats, and those that people know. */
const FORMATS = { JPEG: "JPEG", PNG: "PNG", WEBP: "WebP", HEIF: "HEIC", GIF: "GIF" } as const;

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
  const { t } = useSpeech();
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
    <div className={styles.filters} ref={root}>
      <Pill on={active > 0} aria-expanded={open} aria-controls={panel} onClick={() => setOpen(!open)}>
        <ListFilter /> {t("filters")}
        {active > 0 ? ` · ${count(active)}` : ""}
      </Pill>
      {open && (
        <fieldset className={styles.popover} id={panel}>
          <legend className="visually-hidden">{t("filters")}</legend>
          <fieldset className={styles.segments}>
            <legend>{t("filters.shape")}</legend>
            {SHAPES.map((shape) => (
              <label key={shape ?? "any"}>
                <input
                  type="radio"
                  name="shape"
                  checked={filter.orientation === shape}
                  onChange={() => onChange(tidy({ ...filter, orientation: shape }))}
                />
                <span>{t(`filters.shape.${shape ?? "any"}`)}</span>
              </label>
            ))}
          </fieldset>
          <div className={styles.pair}>
            <Field label={t("filters.from")}>
              <input
                type="date"
                value={filter.taken_after ?? ""}
                onChange={(event) => onChange(tidy({ ...filter, taken_after: event.target.value }))}
              />
            </Field>
            <Field label={t("filters.to")}>
              <input
                type="date"
                value={filter.taken_before ?? ""}
                onChange={(event) => onChange(tidy({ ...filter, taken_before: event.target.value }))}
              />
            </Field>
          </div>
          <fieldset className={styles.segments}>
            <legend>{t("filters.type")}</legend>
            {Object.entries(FORMATS).map(([name, label]) => (
              <label key={name}>
                <input
                  type="checkbox"
                  checked={filter.formats?.includes(name) ?? false}
                  onChange={() => toggleFormat(name)}
                />
                <span>{label}</span>
              </label>
            ))}
          </fieldset>
          <Button small disabled={active === 0} onClick={() => onChange({})}>
            {t("filters.clear")}
          </Button>
        </fieldset>
      )}
    </div>
  );
}
