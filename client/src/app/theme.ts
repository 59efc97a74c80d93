import { useEffect, useState } from "react";

export type Theme = "light" | "dark";
const STORE = "tsir.theme";
const dark = (): MediaQueryList => window.matchMedia("(prefers-color-scheme: dark)");

function chosen(): Theme | null {
  const stored = localStorage.getItem(STORE);
  return stored === "light" || stored === "dark" ? stored : null;
}

/** The system's theme unless the user chose one; sets it on the document before the first paint. */
export function applyTheme(): Theme {
  const theme = chosen() ?? (dark().matches ? "dark" : "light");
  document.documentElement.dataset.theme = theme;
  return theme;
}

export function useTheme(): [Theme, () => void] {
  const [theme, setTheme] = useState(applyTheme);
  useEffect(() => {
    const media = dark();
    const follow = (): void => setTheme(applyTheme());
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, []);
  const toggle = (): void => {
    localStorage.setItem(STORE, theme === "dark" ? "light" : "dark");
    setTheme(applyTheme());
  };
  return [theme, toggle];
}
