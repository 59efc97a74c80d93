import { Image, Minus, Search, X } from "lucide-react";
import { type Dispatch, useCallback, useEffect, useRef, useState } from "react";
import type { Question, Step } from "../app/question";
import { useSpeech } from "../i18n";
import { SketchPad } from "../sketch/SketchPad";
import type { Change } from "../sketch/strokes";
import { IconButton, Pill } from "../ui/Button";
import { cx } from "../ui/cx";
import { Balance } from "./Balance";
import { FileChip, LikeChip } from "./chips";
import { Filters } from "./Filters";
import styles from "./QueryPanel.module.css";

interface Props {
  collection: string;
  question: Question;
  dispatch: Dispatch<Step>;
  hasSketch: boolean;
  /** A picture file that was pasted or chosen for the sheet. */
  onPicture: (file: Blob) => void;
}

/** Everything that is asked: the sheet, the words, the pictures, the filters. */
export function QueryPanel({ collection, question, dispatch, hasSketch, onPicture }: Props) {
  const { t } = useSpeech();
  const { text, notText, balance, image, like, filter, drawing } = question;
  const [without, setWithout] = useState(notText !== "");
  const words = useRef<HTMLInputElement>(null);
  const chooser = useRef<HTMLInputElement>(null);
  const draw = useCallback((change: Change) => dispatch({ type: "draw", change }), [dispatch]);
  const ask = (parts: Partial<Omit<Question, "drawing">>): void => dispatch({ type: "ask", parts });

  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const typing = event.target instanceof HTMLInputElement || event.target instanceof HTMLTextAreaElement;
      if (event.key !== "/" || typing || document.querySelector("dialog[open]")) return;
      event.preventDefault();
      words.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);

  return (
    <search>
      <form
        className={styles.query}
        onSubmit={(event) => {
          event.preventDefault();
          words.current?.blur(); // puts a phone's keyboard away
        }}
      >
        <SketchPad drawing={drawing} onChange={draw} onPicture={onPicture} />

        <div className={styles.asked}>
          <div className={styles.line}>
            <IconButton type="submit" label={t("query.search")} className={styles.submit}>
              <Search />
            </IconButton>
            <input
              ref={words}
              type="text"
              inputMode="search"
              enterKeyHint="search"
              aria-label={t("query.words")}
              placeholder={t("query.words.hint")}
              title={t("query.words.key")}
              maxLength={2000}
              autoComplete="off"
              spellCheck="false"
              value={text}
              onChange={(event) => ask({ text: event.target.value })}
            />
            {text && (
              <IconButton tiny label={t("query.words.clear")} onClick={() => ask({ text: "" })}>
                <X />
              </IconButton>
            )}
          </div>

          {(without || notText) && (
            <div className={cx(styles.line, styles.slim)}>
              <Minus />
              <input
                type="text"
                aria-label={t("query.without")}
                placeholder={t("query.without.hint")}
                maxLength={2000}
                autoComplete="off"
                // biome-ignore lint/a11y/noAutofocus: the field appears because the user just asked for it
                autoFocus={notText === ""}
                value={notText}
                onChange={(event) => ask({ notText: event.target.value })}
              />
              <IconButton
                tiny
                label={t("query.without.drop")}
                onClick={() => {
                  setWithout(false);
                  ask({ notText: "" });
                }}
              >
                <X />
              </IconButton>
            </div>
          )}

          <div className={styles.pills}>
            {!without && !notText && (
              <Pill onClick={() => setWithout(true)}>
                <Minus /> {t("query.without")}
              </Pill>
            )}
            <Pill onClick={() => chooser.current?.click()}>
              <Image /> {t("query.similar")}
            </Pill>
            <Filters filter={filter} onChange={(next) => ask({ filter: next })} />
            <input
              ref={chooser}
              type="file"
              accept="image/*"
              hidden
              aria-label={t("query.similar.file")}
              onChange={(event) => {
                ask({ image: event.target.files?.[0] ?? null });
                event.target.value = "";
              }}
            />
          </div>

          {(image || like !== null) && (
            <div className={styles.chips}>
              {image && <FileChip file={image} onDrop={() => ask({ image: null })} />}
              {like !== null && <LikeChip collection={collection} id={like} onDrop={() => ask({ like: null })} />}
            </div>
          )}

          <Balance
            balance={balance}
            active={hasSketch && text.trim() !== ""}
            onChange={(next) => ask({ balance: next })}
          />
        </div>
      </form>
    </search>
  );
}
