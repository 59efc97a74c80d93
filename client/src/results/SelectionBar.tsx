import { useQueryClient } from "@tanstack/react-query";
import { Download, FolderPlus, Images, Trash2, X } from "lucide-react";
import { useState } from "react";
import { useSpeech } from "../i18n";
import { pictures as written } from "../i18n/format";
import { api } from "../server/client";
import { asProblem } from "../server/problem";
import type { Hit, Picture } from "../server/types";
import { Button, IconButton } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import { Popover } from "../ui/Popover";
import styles from "./SelectionBar.module.css";

interface Props {
  pictures: readonly (Picture | Hit)[];
  /** Names of all. */
  collections: readonly string[];
  /** Tells the user a sentence. */
  say: (sentence: string) => void;
  onLike: () => void;
  onRemove: () => void;
  onClear: () => void;
}

/** What can be done with the chosen pictures. */
export function SelectionBar({ pictures, collections, say, onLike, onRemove, onClear }: Props) {
  const { t, explain } = useSpeech();
  const [packed, setPacked] = useState<number | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  const [first] = pictures;
  const home = pictures.every(({ collection }) => collection === first?.collection) ? first?.collection : undefined;

  const save = async (): Promise<void> => {
    setPacked(0);
    setProblem(null);
    try {
      const { download } = await import("./zip");
      await download(pictures, setPacked);
    } catch (error) {
      setProblem(explain(asProblem(error)));
    }
    setPacked(null);
  };

  return (
    <div className={styles.bar} role="toolbar" aria-label={t("gallery.selection")}>
      <IconButton label={t("gallery.clear")} onClick={onClear}>
        <X />
      </IconButton>
      <strong aria-live="polite">{t("gallery.chosen", { count: pictures.length })}</strong>
      <Button look="quiet" title={t("gallery.like", { pictures: written(pictures.length) })} onClick={onLike}>
        <Images /> <span>{t("viewer.like")}</span>
      </Button>
      <Button look="quiet" disabled={packed !== null} onClick={() => void save()}>
        <Download />{" "}
        <span>
          {packed === null ? t("viewer.download") : t("job.behind", { done: packed, total: pictures.length })}
        </span>
      </Button>
      {home !== undefined && (
        <>
          <AddTo
            pictures={pictures}
            collection={home}
            others={collections.filter((name) => name !== home)}
            say={say}
            onProblem={setProblem}
          />
          <Button look="quiet" onClick={onRemove}>
            <Trash2 /> <span>{t("remove")}</span>
          </Button>
        </>
      )}
      {problem && <Notice bad>{problem}</Notice>}
    </div>
  );
}

type AddProps = Pick<Props, "pictures" | "say"> & {
  /** Where they are. */
  collection: string;
  others: readonly string[];
  onProblem: (problem: string | null) => void;
};

/** The chosen pictures into another collection, one that is there or a new one. */
function AddTo({ pictures, collection, others, say, onProblem }: AddProps) {
  const { t, explain } = useSpeech();
  const client = useQueryClient();
  const [name, setName] = useState("");
  const add = async (to: string, close: () => void): Promise<void> => {
    close();
    onProblem(null);
    try {
      await api.create(to); // an existing one stays as it is
      const ids = pictures.map((picture) => picture.id);
      const { pictures: came } = await api.add(to, collection, ids);
      setName("");
      say(t("gallery.added.to", { pictures: written(came), collection: to }));
      await client.invalidateQueries({ queryKey: ["collections"] });
    } catch (error) {
      onProblem(explain(asProblem(error)));
    }
  };
  return (
    <Popover
      label={t("gallery.add")}
      className={styles.others}
      trigger={(trigger) => (
        <Button look="quiet" {...trigger}>
          <FolderPlus /> <span>{t("gallery.add")}</span>
        </Button>
      )}
    >
      {(close) => (
        <>
          {others.map((other) => (
            <Button key={other} look="quiet" onClick={() => void add(other, close)}>
              {other}
            </Button>
          ))}
          <form
            onSubmit={(event) => {
              event.preventDefault();
              if (name.trim()) void add(name.trim(), close);
            }}
          >
            <Field label={t("collections.new")}>
              <input
                type="text"
                maxLength={64}
                placeholder={t("collections.name.example")}
                value={name}
                onChange={(event) => setName(event.target.value)}
              />
            </Field>
            <Button type="submit" small>
              {t("collections.create")}
            </Button>
          </form>
        </>
      )}
    </Popover>
  );
}
