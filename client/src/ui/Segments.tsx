import styles from "./Segments.module.css";

interface Props<T> {
  label: string;
  /** Of all inputs in the document that belong together. */
  name: string;
  choices: readonly { value: T; label: string }[];
  chosen: readonly T[];
  /** Whether several can be chosen. */
  several?: boolean;
  onChoose: (value: T) => void;
}

/** A few choices beside each other, under their name. */
export function Segments<T extends string | undefined>(props: Props<T>) {
  const { label, name, choices, chosen, several = false, onChoose } = props;
  return (
    <fieldset className={styles.segments}>
      <legend>{label}</legend>
      {choices.map((choice) => (
        <label key={choice.value ?? ""}>
          <input
            type={several ? "checkbox" : "radio"}
            name={name}
            checked={chosen.includes(choice.value)}
            onChange={() => onChoose(choice.value)}
          />
          <span>{choice.label}</span>
        </label>
      ))}
    </fieldset>
  );
}
