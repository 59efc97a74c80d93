import { Check, Copy, Download, ExternalLink, Images, Minus, Trash2, X } from "lucide-react";
import { type ReactNode, useState } from "react";
import { useSpeech } from "../i18n";
import { bytes, date, degrees } from "../i18n/format";
import { isHit, PartsTable } from "../results/Parts";
import { address } from "../server/client";
import type { Problem } from "../server/problem";
import type { Hit, Picture } from "../server/types";
import { Button, IconButton, LinkButton } from "../ui/Button";
import { Confirm } from "../ui/Confirm";
import { Notice } from "../ui/Notice";
import styles from "./About.module.css";

interface Props {
  id: number;
  name: string;
  picture: Picture | Hit | undefined;
  problem: Problem | null;
  onLike: () => void;
  onUnlike: () => void;
  onRemove: () => void;
  onClose: () => void;
}

/** Beside the picture: why it was found, what can be done with it, and what is known of it. */
export function About({ id, name, picture, problem, onLike, onUnlike, onRemove, onClose }: Props) {
  const { t, explain } = useSpeech();
  const [asking, setAsking] = useState<number | null>(null); // the picture whose removal is in question
  const file = picture && address(picture.file_url);
  return (
    <aside className={styles.about}>
      <header>
        <h2 title={name}>{name}</h2>
        <IconButton label={t("close")} className={styles.close} onClick={onClose}>
          <X />
        </IconButton>
      </header>
      {problem && <Notice bad>{explain(problem)}</Notice>}
      {picture && isHit(picture) && <PartsTable hit={picture} />}
      <div className={styles.actions}>
        <Button look="primary" onClick={onLike}>
          <Images /> {t("viewer.like")}
        </Button>
        <Button onClick={onUnlike}>
          <Minus /> {t("query.unlike.this")}
        </Button>
        <LinkButton href={file} target="_blank" rel="noreferrer">
          <ExternalLink /> {t("viewer.original")}
        </LinkButton>
        <LinkButton href={file} download={name}>
          <Download /> {t("viewer.download")}
        </LinkButton>
      </div>
      {picture && <Facts picture={picture} />}
      <footer>
        {asking === id ? (
          <Confirm
            question={t("viewer.remove.sure")}
            no={t("keep")}
            yes={t("remove")}
            onNo={() => setAsking(null)}
            onYes={() => {
              setAsking(null);
              onRemove();
            }}
          />
        ) : (
          <Button look="quiet" onClick={() => setAsking(id)}>
            <Trash2 /> {t("viewer.remove")}
          </Button>
        )}
      </footer>
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
      {taken_at && <Fact name={t("viewer.taken")}>{date(taken_at)}</Fact>}
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
