import { type ReactNode, type ToggleEvent, useCallback, useEffect, useId, useRef, useState } from "react";
import { flushSync } from "react-dom";
import { cx } from "./cx";
import styles from "./Popover.module.css";

const GAP = 8; // px between a button and what it opened, and to the window's edges

/** What the button that opens it must wear. */
export interface Trigger {
  ref: React.RefObject<HTMLButtonElement | null>;
  popoverTarget: string;
  "aria-expanded": boolean;
}

interface Props {
  label: string;
  trigger: (trigger: Trigger) => ReactNode;
  className?: string | undefined;
  children: ReactNode | ((close: () => void) => ReactNode);
}

/** Where something of this size lies best beside a button: below it, else above, always within the window. All in px. */
function placeBeside(button: DOMRect, width: number, height: number): { left: number; top: number } {
  const { innerWidth, innerHeight } = window;
  const left = Math.max(GAP, Math.min(button.left, innerWidth - width - GAP));
  const below = button.bottom + GAP;
  if (below + height + GAP <= innerHeight) return { left, top: below };
  const above = button.top - GAP - height;
  return { left, top: above >= GAP ? above : Math.max(GAP, innerHeight - height - GAP) };
}

/**
 * A small panel beside the button that opens it. It lies in the browser's top layer, so that nothing clips it; Esc and a press beside it
 * close it, and the button gets the focus back.
 */
export function Popover({ label, trigger, className, children }: Props) {
  const id = useId();
  const button = useRef<HTMLButtonElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const [open, setOpen] = useState(false);

  const place = useCallback((): void => {
    const [from, element] = [button.current, panel.current];
    if (!from || !element?.matches(":popover-open")) return;
    const { left, top } = placeBeside(from.getBoundingClientRect(), element.offsetWidth, element.offsetHeight);
    element.style.left = `${left}px`;
    element.style.top = `${top}px`;
    element.dataset.placed = "";
  }, []);
  const close = useCallback((): void => panel.current?.hidePopover(), []);

  useEffect(() => {
    if (!open || !panel.current) return;
    const growth = new ResizeObserver(place); // its content may still be on its way
    growth.observe(panel.current);
    window.addEventListener("resize", place);
    document.addEventListener("scroll", place, { capture: true, passive: true });
    return () => {
      growth.disconnect();
      window.removeEventListener("resize", place);
      document.removeEventListener("scroll", place, { capture: true });
    };
  }, [open, place]);

  const toggle = (event: ToggleEvent<HTMLDivElement>): void => {
    if (event.target !== panel.current) return; // one within this one
    if (event.newState === "open") {
      place();
      return;
    }
    delete panel.current.dataset.placed;
    const { activeElement } = document;
    if (activeElement === document.body || panel.current.contains(activeElement)) button.current?.focus();
    setOpen(false); // not sooner: with its content the focus would go, and the browser could not give it back
  };
  return (
    <>
      {trigger({ ref: button, popoverTarget: id, "aria-expanded": open })}
      {/* biome-ignore lint/a11y/useSemanticElements: browsers lay fieldsets out in a way of their own */}
      <div
        ref={panel}
        id={id}
        popover="auto"
        role="group"
        aria-label={label}
        className={cx(styles.popover, className)}
        // Filled before it shows, so that its size is known when it is placed.
        onBeforeToggle={(event) => {
          if (event.target === panel.current && event.newState === "open") flushSync(() => setOpen(true));
        }}
        onToggle={toggle}
      >
        {open && (typeof children === "function" ? children(close) : children)}
      </div>
    </>
  );
}
