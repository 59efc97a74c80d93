import { ListFilter } from "lucide-react";
import type { Translate } from "../i18n";
import { useSpeech } from "../i18n";
import { count, list } from "../i18n/format";
import { useFormats } from "../server/queries";
import type { Filter, Format } from "../server/types";
import { Button, Pill } from "../ui/Button";
import { Field } from "../ui/Field";
import { Popover } from "../ui/Popover";
import styles from "./Filters.module.css";

const SHAPES = [undefined, "landscape", "portrait", "square"] as const;

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

/** Each condition of a filter in words, with the filter that is left without it. */
export function conditions(
  filter: Filter,
  known: readonly Format[],
  t: Translate,
): { words: string; without: Filter }[] {
  const { orientation, taken_after, taken_before, formats } = filter;
  const words = {
    orientation: orientation && t(`filters.shape.${orientation}`),
    taken_after: taken_after && t("filters.since", { day: taken_after }),
    taken_before: taken_before && t("filters.until", { day: taken_before }),
    formats: formats && list(formats.map((name) => known.find((format) => format.name === name)?.label ?? name)),
  };
  return Object.entries(words).flatMap(([name, said]) =>
    said ? [{ words: said, without: tidy({ ...filter, [name]: undefined }) }] : [],
  );
}

export function Filters({ filter, onChange }: Props) {
  const { t } = useSpeech();
  const known = useFormats();
  const active = Object.keys(filter).length;

  const toggleFormat = (name: string): void => {
    const now = filter.formats ?? [];
    onChange(tidy({ ...filter, formats: now.includes(name) ? now.filter((other) => other !== name) : [...now, name] }));
  };

  return (
    <Popover
      label={t("filters")}
      className={styles.popover}
      trigger={(trigger) => (
        <Pill on={active > 0} {...trigger}>
          <ListFilter /> {t("filters")}
          {active > 0 ? ` · ${count(active)}` : ""}
        </Pill>
      )}
    >
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
        {known.map(({ name, label }) => (
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
      <Button small aria-disabled={active === 0} onClick={() => onChange({})}>
        {t("filters.clear")}
      </Button>
    </Popover>
  );
}
