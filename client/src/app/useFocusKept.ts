import { useEffect } from "react";

const HOMES = "dialog[open], form, section, main";

/**
 * What has the focus may go: a chip that is removed, a button with nothing left to do. The focus then stays nearby, in the form or section
 * around it, instead of falling to the start of the page, where someone without a mouse would have to begin anew.
 */
export function useFocusKept(): void {
  useEffect(() => {
    let path: HTMLElement[] = []; // of the last focused element, from itself upwards
    const remember = (event: FocusEvent): void => {
      path = [];
      for (let at = event.target instanceof HTMLElement ? event.target : null; at; at = at.parentElement) path.push(at);
    };
    const check = (): void => {
      const [last] = path;
      if (!last || (document.activeElement !== document.body && document.activeElement !== null)) return;
      if (last.isConnected && !last.matches(":disabled")) return; // put down on purpose
      const home: HTMLElement | null =
        path.find((element) => element.isConnected && element.matches(HOMES)) ?? document.querySelector("main");
      path = [];
      if (!home) return;
      if (!home.hasAttribute("tabindex")) home.tabIndex = -1;
      home.focus({ preventScroll: true });
    };
    const observer = new MutationObserver(check);
    observer.observe(document.body, {
      subtree: true,
      childList: true,
      attributes: true,
      attributeFilter: ["disabled"],
    });
    document.addEventListener("focusin", remember);
    return () => {
      observer.disconnect();
      document.removeEventListener("focusin", remember);
    };
  }, []);
}
