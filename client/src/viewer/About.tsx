import { Check, Copy, Download, ExternalLink, Images, Minus, Trash2 } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useSpeech } from "../i18n";
import { bytes, cameraDate, degrees } from "../i18n/format";
import { inWords, isHit, PartsTable } from "../results/Parts";
import type { Best } from "../results/reason";
import { address } from "../server/client";
import type { Problem } from "../server/problem";
import type { Hit, Picture } from "../server/types";
import { Button, IconButton, LinkButton } from "../ui/Button";
import { Notice } from "../ui/Notice";
import styles from "./About.module.css";

interface Props {
  name: string;
  picture: Picture | Hit | undefined;
  /** What the best of the answer had of each part of the question. */
  best: Best;
  problem: Problem | null;
  onLike: () => void;
  onUnlike: () => void;
  onRemove: () => void;
}

/** Beside the picture: why it was found, what can be done with it, and what is known of it. */
export function About({ name, picture, best, problem, onLike, onUnlike, onRemove }: Props) {
  const speech = useSpeech();
  const { t, explain } = speech;
  const file = picture && address(picture.file_url);
  const reason = picture && isHit(picture) ? inWords(picture, best, speech) : null;
  const title = reason ?? (picture?.taken_at ? cameraDate(picture.taken_at) : null);
  return (
    <aside className={styles.about}>
      <header>
        {title && <h2>{title}</h2>}
        <p className={styles.name} title={name}>
          {name}
        </p>
      </header>
      {picture?.missing && <Notice>{t("missing.this")}</Notice>}
      {problem && <Notice bad>{explain(problem)}</Notice>}
      {picture && (
        <div className={styles.actions}>
          <Button look="primary" onClick={onLike}>
            <Images /> {t("viewer.like")}
          </Button>
          <Button onClick={onUnlike}>
            <Minus /> {t("query.unlike.this")}
          </Button>
          {!picture.missing && (
            <>
              <LinkButton href={file} target="_blank" rel="noreferrer">
                <ExternalLink /> {t("viewer.original")}
              </LinkButton>
              <LinkButton href={file} download={name}>
                <Download /> {t("viewer.download")}
              </LinkButton>
            </>
          )}
        </div>
      )}
      {picture && <Facts picture={picture} />}
      {picture && isHit(picture) && (
        <details className={styles.scores}>
          <summary>{t("viewer.scores")}</summary>
          <PartsTable hit={picture} />
        </details>
      )}
      {picture && (
        <footer>
          <Button look="quiet" title={t("viewer.remove.what")} onClick={onRemove}>
            <Trash2 /> {t("viewer.remove")}
          </Button>
        </footer>
      )}
    </aside>
  );
}

function Facts({ picture }: { picture: Picture }) {
  const { t } = useSpeech();
  const { paths, width, height, format, taken_at, camera, latitude, longitude } = picture;
  return (
    <dl className={styles.facts}>
      {paths.map((path, place) => (
        <Fact key={path} name={t(place === 0 ? "viewer.path" : "viewer.path.also")}>
          <span className={styles.path}>
            <code>{path}</code>
            <CopyButton text={path} />
          </span>
        </Fact>
      ))}
      <Fact name={t("viewer.size")}>
        {width} × {height}
        {` · ${bytes(picture.bytes)} · ${format}`}
      </Fact>
      {taken_at && <Fact name={t("viewer.taken")}>{cameraDate(taken_at)}</Fact>}
      {camera && <Fact name={t("viewer.camera")}>{camera}</Fact>}
      {latitude !== null && longitude !== null && (
        <Fact name={t("viewer.place")}>
          {degrees(latitude)}, {degrees(longitude)}
        </Fact>
      )}
    </dl>
  );
}

function Fact({ name, children }: { name: string; children: ReactNode }) {
  return (
    <div>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </div>
  );
}

function CopyButton({ text }: { text: string }) {
  const { t } = useSpeech();
  const [copied, setCopied] = useState(false);
  const copy = async (): Promise<void> => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Without HTTPS there is no clipboard API: select and copy the old way.
      const area = document.createElement("textarea");
      area.value = text;
      (document.querySelector("dialog[open]") ?? document.body).append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    setCopied(true);
    setTimeout(() => setCopied(false), 1600);
  };
  return (
    <IconButton tiny label={t(copied ? "viewer.copied" : "viewer.copy")} onClick={() => void copy()}>
      {copied ? <Check /> : <Copy />}
    </IconButton>
  );
}
