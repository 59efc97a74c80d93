import { useQueryClient } from "@tanstack/react-query";
import { Pencil, Plus, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useSpeech } from "../i18n";
import { pictures } from "../i18n/format";
import { api } from "../server/client";
import { asProblem } from "../server/problem";
import type { Library } from "../server/queries";
import type { Collection, Copies, Job } from "../server/types";
import { Button, IconButton } from "../ui/Button";
import { Confirm } from "../ui/Confirm";
import { cx } from "../ui/cx";
import { Notice } from "../ui/Notice";
import styles from "./Collections.module.css";
import { ForgetMissing } from "./ForgetMissing";

const GOOD_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;

interface Props {
  library: Library;
  onPick: (name: string) => void;
  /** The pictures of the collection on screen whose files are not there. */
  onMissing: () => void;
  onStarted: (job: Job) => void;
}

/** What is under way with a collection of this name. */
interface Doing {
  name: string;
  what: "rename" | "drop";
  /** How many of its pictures lie nowhere else, once that is known. */
  copies?: Copies;
}

export function Collections({ library, onPick, onMissing, onStarted }: Props) {
  const { t, explain } = useSpeech();
  const { current, about } = library;
  const client = useQueryClient();
  const [making, setMaking] = useState(false);
  const [doing, setDoing] = useState<Doing | null>(null);
  const [said, setSaid] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  const attempt = async (work: () => Promise<unknown>): Promise<boolean> => {
    setProblem(null);
    setSaid(null);
    try {
      await work();
      await Promise.all([library.refresh(), client.invalidateQueries({ queryKey: ["trash"] })]);
      return true;
    } catch (error) {
      setProblem(explain(asProblem(error)));
      return false;
    }
  };
  /** Whether the name can be given; says so if not. */
  const good = (name: string): boolean => {
    if (!GOOD_NAME.test(name)) setProblem(t("collections.name.rule"));
    return GOOD_NAME.test(name);
  };

  const create = async (name: string): Promise<void> => {
    if (!good(name) || !(await attempt(() => api.create(name)))) return;
    setMaking(false);
    onPick(name);
  };
  const rename = async (from: string, to: string): Promise<void> => {
    if (from !== to && (!good(to) || !(await attempt(() => api.rename(from, to))))) return;
    setDoing(null);
    if (from === current && from !== to) onPick(to);
  };
  const askDrop = async (name: string): Promise<void> => {
    setDoing(null);
    await attempt(async () => setDoing({ name, what: "drop", copies: await api.onlyCopies(name, null) }));
  };
  const include = (name: string): Promise<boolean> =>
    attempt(async () => {
      const { pictures: came, job } = await api.include(name);
      if (job) onStarted(job);
      setSaid(t("trash.back", { pictures: pictures(came), collection: name }));
    });

  const state = (collection: Collection): string =>
    [
      pictures(collection.count),
      collection.encoder.name,
      ...(collection.state === "ready" ? [] : [t(`collections.state.${collection.state}`)]),
    ].join(" · ");

  return (
    <section aria-labelledby="collections-title">
      <h3 id="collections-title">{t("collections")}</h3>
      {problem && <Notice bad>{problem}</Notice>}
      {said && <p role="status">{said}</p>}
      <ul className={styles.list}>
        {library.collections?.map((collection) => {
          const { name } = collection;
          const busy = doing?.name === name ? doing : null;
          return (
            <li key={name} className={cx(name === current && styles.current)}>
              <button
                type="button"
                className={styles.collection}
                aria-current={name === current}
                onClick={() => onPick(name)}
              >
                <span className={styles.name}>{name}</span>
                <span className={styles.state}>{state(collection)}</span>
              </button>
              {!collection.usable && collection.state === "ready" && (
                <Button
                  small
                  title={t("collections.reencode.why", { encoder: collection.encoder.name })}
                  onClick={() => void attempt(async () => onStarted(await api.reencode(name)))}
                >
                  {t("collections.reencode")}
                </Button>
              )}
              <IconButton
                label={t("collections.rename.name", { collection: name })}
                title={t("collections.rename")}
                onClick={() => setDoing(busy?.what === "rename" ? null : { name, what: "rename" })}
              >
                <Pencil />
              </IconButton>
              <IconButton
                label={t("collections.drop.name", { collection: name })}
                title={t("collections.drop.this")}
                onClick={() => (busy?.what === "drop" ? setDoing(null) : void askDrop(name))}
              >
                <Trash2 />
              </IconButton>
              {busy?.what === "rename" && (
                <div className={styles.confirm}>
                  <NameForm
                    label={t("collections.rename.to", { collection: name })}
                    begin={name}
                    yes={t("collections.rename")}
                    onName={(to) => void rename(name, to)}
                    onCancel={() => setDoing(null)}
                  />
                </div>
              )}
              {busy?.copies && (
                <div className={styles.confirm}>
                  <Confirm
                    question={`${t("collections.drop.sure", { collection: name, pictures: pictures(busy.copies.pictures) })} ${
                      busy.copies.only_copies > 0
                        ? t("collections.drop.copies", { pictures: pictures(busy.copies.only_copies) })
                        : t("collections.drop.files")
                    }`}
                    no={t("keep")}
                    yes={t("collections.drop")}
                    onNo={() => setDoing(null)}
                    onYes={() => {
                      setDoing(null);
                      void attempt(() => api.drop(name));
                    }}
                  />
                </div>
              )}
              {name === current && collection.missing + collection.excluded > 0 && (
                <div className={styles.confirm}>
                  {collection.missing > 0 && (
                    <>
                      <ForgetMissing
                        collection={name}
                        missing={collection.missing}
                        onForgotten={(sentence) => {
                          setSaid(sentence);
                          void library.refresh();
                        }}
                      />
                      <Button look="quiet" small onClick={onMissing}>
                        {t("missing.show")}
                      </Button>
                    </>
                  )}
                  {collection.excluded > 0 && (
                    <p className="hint">
                      {t("collections.excluded", { pictures: pictures(collection.excluded) })}{" "}
                      <Button small onClick={() => void include(name)}>
                        {t("trash.restore")}
                      </Button>
                    </p>
                  )}
                </div>
              )}
            </li>
          );
        })}
        {!about && (
          <li className={styles.current}>
            <span className={styles.collection}>
              <span className={styles.name}>{current}</span>
              <span className={styles.state}>{t("collections.unmade")}</span>
            </span>
          </li>
        )}
      </ul>
      {making ? (
        <NameForm
          label={t("collections.name")}
          begin=""
          yes={t("collections.create")}
          onName={(name) => void create(name)}
          onCancel={() => setMaking(false)}
        />
      ) : (
        <Button look="quiet" className={styles.new} onClick={() => setMaking(true)}>
          <Plus /> {t("collections.new")}
        </Button>
      )}
    </section>
  );
}

interface NameProps {
  label: string;
  begin: string;
  yes: string;
  onName: (name: string) => void;
  onCancel: () => void;
}

/** Asks for a collection's name. */
function NameForm({ label, begin, yes, onName, onCancel }: NameProps) {
  const { t } = useSpeech();
  const [name, setName] = useState(begin);
  return (
    <form
      className={styles.form}
      onSubmit={(event: FormEvent) => {
        event.preventDefault();
        onName(name.trim());
      }}
    >
      <input
        type="text"
        aria-label={label}
        placeholder={t("collections.name.example")}
        maxLength={64}
        // biome-ignore lint/a11y/noAutofocus: the field appears because the user just asked for it
        autoFocus
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <Button type="submit" look="primary">
        {yes}
      </Button>
      <Button onClick={onCancel}>{t("cancel")}</Button>
    </form>
  );
}
