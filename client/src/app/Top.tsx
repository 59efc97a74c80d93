import { Folder, Languages, Moon, Plus, Sun } from "lucide-react";
import type { MouseEvent } from "react";
import { chooseLanguage, LANGUAGES, type Language, useSpeech } from "../i18n";
import { count, percent } from "../i18n/format";
import { progress } from "../server/jobs";
import type { Library } from "../server/queries";
import type { Job } from "../server/types";
import { Button, IconButton } from "../ui/Button";
import styles from "./Top.module.css";
import { useTheme } from "./theme";

interface Props {
  library: Library;
  /** An import on its way. */
  running: Job | undefined;
  onHome: () => void;
  onLibrary: () => void;
}

export function Top({ library, running, onHome, onLibrary }: Props) {
  const { t, language } = useSpeech();
  const [theme, toggleTheme] = useTheme();
  const share = running ? progress(running) : null;
  const home = (event: MouseEvent): void => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return; // another tab
    event.preventDefault();
    onHome();
  };
  const other: Language = language === "en" ? "zh" : "en";
  return (
    <header className={styles.top}>
      <a className={styles.brand} href="/" aria-label={t("top.home")} onClick={home}>
        <Logo />
        <span>tsir</span>
      </a>
      <span className={styles.tagline}>{t("top.tagline")}</span>
      <span className="spacer" />
      {running && (
        <button type="button" className={styles.job} title={t("top.import.show")} onClick={onLibrary}>
          <span className={styles.ring} style={{ "--share": share ?? 0.08 } as React.CSSProperties} />
          <span className={styles.doing}>{t("top.import")}</span>
          {share === null ? "…" : percent(share)}
        </button>
      )}
      <Button className={styles.library} aria-haspopup="dialog" onClick={onLibrary}>
        <Folder />
        <span className={styles.name}>{library.current}</span>
        {library.about && <span className={styles.count}>{count(library.about.count)}</span>}
      </Button>
      <Button
        look="primary"
        className={styles.add}
        aria-haspopup="dialog"
        aria-label={t("top.add")}
        onClick={onLibrary}
      >
        <Plus /> <span>{t("top.add")}</span>
      </Button>
      <IconButton label={LANGUAGES[other]} lang={other} onClick={() => void chooseLanguage(other)}>
        <Languages />
      </IconButton>
      <IconButton label={t(theme === "dark" ? "top.light" : "top.dark")} onClick={toggleTheme}>
        {theme === "dark" ? <Sun /> : <Moon />}
      </IconButton>
    </header>
  );
}

function Logo() {
  return (
    <svg className={styles.logo} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" className={styles.ground} />
      <path
        className={styles.stroke}
        d="M7 21.5c2.6-7.6 5-11.4 7-11.4 3.4 0-1.6 9.6 1.6 9.6 2.5 0 3.3-5.2 5.6-5.2 1.7 0 1.8 2.6 3.8 2.6"
      />
      <circle cx="24.2" cy="8.6" r="2.2" className={styles.sun} />
    </svg>
  );
}
