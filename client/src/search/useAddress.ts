import { useCallback, useEffect, useRef, useState } from "react";
import { type Address, formatAddress, parseAddress } from "./query";

/** The page's state that lives in its address. The query replaces the entry; opening the viewer adds one, so that Back closes it. */
export function useAddress(): [Address, (next: Partial<Address>, entry?: "replace" | "push") => void] {
  const [address, setAddress] = useState(() => parseAddress(window.location.search));
  const current = useRef(address);

  useEffect(() => {
    const onPop = (): void => {
      current.current = parseAddress(window.location.search);
      setAddress(current.current);
    };
    window.addEventListener("popstate", onPop);
    return () => window.removeEventListener("popstate", onPop);
  }, []);

  const update = useCallback((next: Partial<Address>, entry: "replace" | "push" = "replace") => {
    current.current = { ...current.current, ...next };
    setAddress(current.current);
    const url = window.location.pathname + formatAddress(current.current);
    try {
      if (entry === "push") window.history.pushState({ pushed: true }, "", url);
      else window.history.replaceState(window.history.state, "", url);
    } catch {
      // Safari allows a hundred changes in half a minute: the next one will catch up.
    }
  }, []);

  return [address, update];
}
