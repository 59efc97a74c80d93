import { ListFilter } from "lucide-react";
import { useId, useState } from "react";
import { STACKS } from "../app/address";
import { type Translate, useSpeech } from "../i18n";
import { count } from "../i18n/format";
import { useCollectionNames, useConditions, useFacets, useFormats, useRoots } from "../server/queries";
import type { Collapse, Condition, Filter, FilterValue } from "../server/types";
import { Button, Pill } from "../ui/Button";
import { Field } from "../ui/Field";
import { Popover } from "../ui/Popover";
import { Segments } from "../ui/Segments";
import { arranged, changed, choicesOf, labelOf, nothing } from "./conditions";
import styles from "./Filters.module.css";

interface Props {
  collection: string;
  filter: Filter;
  /** Which alike hits are shown as one. */
  collapse: Collapse | null;
  /** Whether all collections are searched. */
  everywhere: boolean;
  onChange: (parts: { filter?: Filter; collapse?: Collapse | null; everywhere?: boolean }) => void;
}

export function Filters(props: Props) {
  const { t } = useSpeech();
  const active = activeOf(props);
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
      <Fields {...props} />
    </Popover>
  );
}

const activeOf = ({ filter, collapse, everywhere }: Props): number =>
  Object.keys(filter).length + (collapse ? 1 : 0) + (everywhere ? 1 : 0);

const stacks = (t: Translate) => STACKS.map((value) => ({ value, label: t(`stack.${value}`) }));

function Fields(props: Props) {
  const { collection, filter, collapse, everywhere, onChange } = props;
  const { t } = useSpeech();
  const { first, rest } = arranged(useConditions());
  const facets = useFacets(collection);
  const roots = useRoots();
  const hints: Readonly<Record<string, readonly string[]>> = {
    folder: [...new Set([...roots, ...(facets?.folders ?? [])])],
    camera: facets?.cameras ?? [],
    formats: facets?.formats ?? [],
  };
  const draw = (field: Condition) => (
    <Value
      key={field.name}
      field={field}
      value={filter[field.name]}
      hints={hints[field.name] ?? []}
      onChange={(value) => onChange({ filter: changed(filter, field.name, value) })}
    />
  );
  const several = useCollectionNames().length > 1;
  return (
    <>
      <div className={styles.fields}>{first.map(draw)}</div>
      <Segments
        label={t("stack")}
        name="stack"
        choices={[{ value: undefined, label: t("stack.none") }, ...stacks(t)]}
        chosen={[collapse ?? undefined]}
        onChoose={(chosen) => onChange({ collapse: chosen ?? null })}
      />
      {(several || everywhere) && (
        <Segments
          label={t("where")}
          name="where"
          choices={[
            { value: undefined, label: collection },
            { value: "all", label: t("where.all") },
          ]}
          chosen={[everywhere ? "all" : undefined]}
          onChoose={(chosen) => onChange({ everywhere: chosen === "all" })}
        />
      )}
      {rest.length > 0 && (
        <details className={styles.rest} open={rest.some(({ name }) => name in filter)}>
          <summary>{t("filters.more")}</summary>
          <div className={styles.fields}>{rest.map(draw)}</div>
        </details>
      )}
      <Button
        small
        aria-disabled={activeOf(props) === 0}
        onClick={() => onChange({ filter: {}, collapse: null, everywhere: false })}
      >
        {t("filters.clear")}
      </Button>
    </>
  );
}

interface ValueProps {
  field: Condition;
  value: FilterValue | undefined;
  /** Values that occur, to choose from. */
  hints: readonly string[];
  onChange: (value: FilterValue | undefined) => void;
}

/** A condition, drawn as its kind of value asks. */
function Value({ field, value, hints, onChange }: ValueProps) {
  const { t } = useSpeech();
  const formats = useFormats();
  const label = labelOf(field, t);
  const any = { value: undefined, label: t("filters.any") };
  const given = value === undefined ? undefined : String(value);
  switch (field.kind) {
    case "choice": {
      const none = nothing(field);
      const choices = choicesOf(field, t);
      return (
        <div className="wide">
          <Segments
            label={label}
            name={field.name}
            choices={none === undefined ? [any, ...choices] : choices}
            chosen={[given ?? none]}
            onChoose={(chosen) => onChange(chosen === none ? undefined : chosen)}
          />
        </div>
      );
    }
    case "flag":
      return (
        <div className="wide">
          <Segments
            label={label}
            name={field.name}
            choices={[any, { value: "true", label: t("filters.yes") }, { value: "false", label: t("filters.no") }]}
            chosen={[given]}
            onChoose={(chosen) => onChange(chosen === undefined ? undefined : chosen === "true")}
          />
        </div>
      );
    case "formats": {
      const chosen = Array.isArray(value) ? value.map(String) : [];
      const toggled = (name: string): string[] =>
        chosen.includes(name) ? chosen.filter((other) => other !== name) : [...chosen, name];
      return (
        <div className="wide">
          <Segments
            label={label}
            name={field.name}
            choices={formats
              .filter(({ name }) => hints.length === 0 || hints.includes(name) || chosen.includes(name))
              .map((format) => ({ value: format.name, label: format.label }))}
            chosen={chosen}
            several
            onChoose={(name) => onChange(toggled(name))}
          />
        </div>
      );
    }
    case "time":
      return (
        <Field label={label}>
          <input type="date" value={given ?? ""} onChange={(event) => onChange(event.target.value)} />
        </Field>
      );
    default:
      return <Written key={given} field={field} label={label} given={given ?? ""} hints={hints} onChange={onChange} />;
  }
}

/** A condition that is written. It counts when the field is left or Enter is pressed: half a word finds nothing. */
function Written({
  field,
  label,
  given,
  hints,
  onChange,
}: Omit<ValueProps, "value"> & { label: string; given: string }) {
  const id = useId();
  const [text, setText] = useState(given);
  const number = ["pixels", "bytes", "megapixels"].includes(field.kind);
  const say = (): void => {
    const said = text.trim();
    if (said !== given) onChange(number && said !== "" ? Number(said) : said);
  };
  return (
    <div className={number ? undefined : "wide"}>
      <Field label={label}>
        <input
          type={number ? "number" : "text"}
          {...(number && { min: 0, step: field.kind === "megapixels" ? "any" : 1 })}
          {...(hints.length > 0 && { list: id })}
          title={field.help}
          autoComplete="off"
          spellCheck="false"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onBlur={say}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return;
            event.preventDefault();
            say();
          }}
        />
      </Field>
      {hints.length > 0 && (
        <datalist id={id}>
          {hints.map((hint) => (
            <option key={hint} value={hint} />
          ))}
        </datalist>
      )}
    </div>
  );
}
