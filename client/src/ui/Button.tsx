import type { ComponentProps } from "react";
import styles from "./Button.module.css";
import { cx } from "./cx";

interface Looks {
  /** `primary`: the one thing to do here; `quiet`: without border; `danger`: takes something away. */
  look?: "plain" | "primary" | "quiet" | "danger";
  small?: boolean;
}

const looks = ({ look = "plain", small = false }: Looks, className?: string): string =>
  cx(styles.button, styles[look], small && styles.small, className);

export function Button({ look, small, className, ...rest }: ComponentProps<"button"> & Looks) {
  return (
    <button type="button" className={looks({ ...(look && { look }), ...(small && { small }) }, className)} {...rest} />
  );
}

/** A link that looks like a button. */
export function LinkButton({ look, className, ...rest }: ComponentProps<"a"> & Pick<Looks, "look">) {
  return <a className={looks(look ? { look } : {}, className)} {...rest} />;
}

/** A round button that holds an icon alone; `label` is its name and, where no other `title` is given, its tooltip. */
export function IconButton({
  label,
  tiny = false,
  className,
  ...rest
}: ComponentProps<"button"> & { label: string; tiny?: boolean }) {
  return (
    <button
      type="button"
      className={cx(styles.icon, tiny && styles.tiny, className)}
      aria-label={label}
      title={label}
      {...rest}
    />
  );
}

/** A small switch among others: `on` while it changes something. */
export function Pill({ on = false, ...rest }: ComponentProps<"button"> & { on?: boolean }) {
  return <button type="button" className={cx(styles.pill, on && styles.on)} {...rest} />;
}
