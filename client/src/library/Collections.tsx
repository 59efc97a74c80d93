import { Plus, Trash2 } from "lucide-react";
import { type FormEvent, useState } from "react";
import { useSpeech } from "../i18n";
import { pictures } from "../i18n/format";
import { api } from "../server/client";
import { asProblem } from "../server/problem";
import type { Library } from "../server/queries";
import type { Collection, Job } from "../server/types";
import { Button, IconButton } from "../ui/Button";
import { Confirm } from "../ui/Confirm";
import { cx } from "../ui/cx";
import { Notice } from "../ui/Notice";
import styles from "./Collections.module.css";

const GOOD_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;

interface Props {
  library: Library;
  onPick: (name: string) => void;
  onStarted: (job: Job) => void;
}

export function Collections({ library, onPick, onStarted }: Props) {
  const { t, explain } = useSpeech();
  const { current, about } = library;
  const [name, setName] = useState<string | null>(null); // of the collection that is about to be made
  const [dropping, setDropping] = useState<string | null>(null);
  const [problem, setProblem] = useState<string | null>(null);

  const attempt = async (work: () => Promise<unknown>): Promise<boolean> => {
    setProblem(null);
    try {
      await work();
      await library.refresh();
      return true;
    } catch (error) {
      setProblem(explain(asProblem(error)));
      return false;
    }
  };

  const create = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const wanted = name?.trim() ?? "";
    if (!GOOD_NAME.test(wanted)) {
      setProblem(t("collections.name.rule"));
      return;
    }
    if (await attempt(() => api.create(wanted))) {
      setName(null);
      onPick(wanted);
    }
  };

  const drop = async (which: string): Promise<void> => {
    setDropping(null);
    await attempt(() => api.drop(which));
  };

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
      <ul className={styles.list}>
        {library.collections?.map((collection) => (
          <li key={collection.name} className={cx(collection.name === current && styles.current)}>
            <button
              type="button"
              className={styles.collection}
              aria-current={collection.name === current}
              onClick={() => onPick(collection.name)}
            >
              <span className={styles.name}>{collection.name}</span>
              <span className={styles.state}>{state(collection)}</span>
            </button>
            {!collection.usable && collection.state === "ready" && (
              <Button
                small
                title={t("collections.reencode.why", { encoder: collection.encoder.name })}
                onClick={() => void attempt(async () => onStarted(await api.reencode(collection.name)))}
              >
                {t("collections.reencode")}
              </Button>
            )}
            <IconButton
              label={t("collections.drop.name", { collection: collection.name })}
              title={t("collections.drop.this")}
              onClick={() => setDropping(dropping === collection.name ? null : collection.name)}
            >
              <Trash2 />
            </IconButton>
            {dropping === collection.name && (
              <div className={styles.confirm}>
                <Confirm
                  question={t("collections.drop.sure", {
                    collection: collection.name,
                    pictures: pictures(collection.count),
                  })}
                  no={t("keep")}
                  yes={t("collections.drop")}
                  onNo={() => setDropping(null)}
                  onYes={() => void drop(collection.name)}
                />
              </div>
            )}
          </li>
        ))}
        {!about && (
          <li className={styles.current}>
            <span className={styles.collection}>
              <span className={styles.name}>{current}</span>
              <span className={styles.state}>{t("collections.unmade")}</span>
            </span>
          </li>
        )}
      </ul>
      {name === null ? (
        <Button look="quiet" className={styles.new} onClick={() => setName("")}>
          <Plus /> {t("collections.new")}
        </Button>
      ) : (
        <form className={styles.form} onSubmit={(event) => void create(event)}>
          <input
            type="text"
            aria-label={t("collections.name")}
            placeholder={t("collections.name.example")}
            maxLength={64}
            // biome-ignore lint/a11y/noAutofocus: the field appears because the user just asked for it
            autoFocus
            value={name}
            onChange={(event) => setName(event.target.value)}
          />
          <Button type="submit" look="primary">
            {t("collections.create")}
          </Button>
          <Button onClick={() => setName(null)}>{t("cancel")}</Button>
        </form>
      )}
    </section>
  );
}
