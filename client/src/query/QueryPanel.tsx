import { Image, Link, Minus, Pencil, Search, X } from "lucide-react";
import { type Dispatch, useCallback, useEffect, useRef, useState } from "react";
import type { Strengths } from "../app/address";
import { isBlankQuestion, type Question, type Step } from "../app/question";
import { linkOf } from "../app/usePage";
import type { Pictures } from "../app/usePictures";
import { useSpeech } from "../i18n";
import type { Problem } from "../server/problem";
import { useAccept, useCollectionNames, useConditions, useFormats } from "../server/queries";
import { SketchPad } from "../sketch/SketchPad";
import type { Change, Pasted } from "../sketch/strokes";
import { IconButton, Pill } from "../ui/Button";
import { cx } from "../ui/cx";
import { Balance } from "./Balance";
import { DrawingChip, FileChip, FilterChip, LikeChip } from "./chips";
import { inWords } from "./conditions";
import { Filters } from "./Filters";
import styles from "./QueryPanel.module.css";
import { Recents } from "./Recents";
import { StrengthButton } from "./Strength";
import { useDock } from "./useDock";
import { type Pair, pairOf, withPair } from "./weights";

interface Props {
  collection: string;
  question: Question;
  dispatch: Dispatch<Step>;
  hasSketch: boolean;
  pictures: Pictures;
  /** Why the question has no answer. */
  problem: Problem | null;
  /** Tells the user a sentence. */
  say: (sentence: string) => void;
}

/** Everything that is asked, as one bar of ingredients: the sheet, the words, the pictures, the filters. */
export function QueryPanel({ collection, question, dispatch, hasSketch, pictures, problem, say }: Props) {
  const { t, explain } = useSpeech();
  const formats = useFormats();
  const conditions = useConditions();
  const accept = useAccept();
  const names = useCollectionNames();
  const { text, notText, balance, image, likes, filter, collapse, everywhere, drawing, strengths } = question;
  const [without, setWithout] = useState(notText !== "");
  const words = useRef<HTMLInputElement>(null);
  const chooser = useRef<HTMLInputElement>(null);
  // A page that begins with an answer, and without a drawing, shows the answer.
  const dock = useDock(
    () => drawing.marks.length === 0 && (text !== "" || likes.length > 0 || image !== null),
    question,
  );
  const draw = useCallback((change: Change) => dispatch({ type: "draw", change }), [dispatch]);
  const ask = (parts: Partial<Omit<Question, "drawing">>): void => dispatch({ type: "ask", parts });
  const rest = (): void => dispatch({ type: "rest" });

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

  const said = text.trim() !== "";
  const blank = isBlankQuestion(question);
  const many = [hasSketch, said, notText.trim() !== "", image !== null, ...likes].filter(Boolean).length > 1;
  const both = said && hasSketch;
  const pair = pairOf(question, both);
  const picture = drawing.marks.findLast((mark): mark is Pasted => mark.kind === "picture");
  const weigh = (factors: Partial<Strengths>): void => ask({ strengths: { ...strengths, ...factors } });
  const weighPair = (factors: Partial<Pair>): void => {
    const [alone] = Object.values(factors);
    if (both) ask(withPair(question, { ...pair, ...factors }));
    else if (alone !== undefined) weigh({ level: alone });
  };

  const share = async (): Promise<void> => {
    try {
      const url = await linkOf(drawing.marks);
      if (navigator.share && window.matchMedia("(pointer: coarse)").matches) await navigator.share({ url });
      else {
        await navigator.clipboard.writeText(url);
        say(t("share.copied"));
      }
    } catch {
      say(t("share.failed")); // no HTTPS, or the user thought better of it
    }
  };

  return (
    <search className={styles.panel} data-drop="search" data-dock={dock.small ? "small" : "open"}>
      <form
        ref={dock.panel}
        className={styles.query}
        onSubmit={(event) => {
          event.preventDefault();
          rest();
          words.current?.blur(); // puts a phone's keyboard away
        }}
      >
        <div className={styles.sheet}>
          <SketchPad drawing={drawing} onChange={draw} onPicture={(file) => void pictures.take(file)} />
          {dock.small && (
            <button type="button" className={styles.grow} aria-label={t("sketch.grow")} onClick={dock.grow}>
              {drawing.marks.length === 0 && <Pencil />}
            </button>
          )}
        </div>

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
              {...(problem?.word && { "aria-invalid": true, "aria-describedby": "words-problem" })}
              placeholder={t("query.words.hint")}
              title={t("query.words.key")}
              maxLength={2000}
              autoComplete="off"
              spellCheck="false"
              value={text}
              onFocus={dock.type}
              onBlur={rest}
              onChange={(event) => ask({ text: event.target.value })}
            />
            {said && many && (
              <StrengthButton
                part={t("part.text")}
                factor={pair.text}
                onChange={(factor) => weighPair({ text: factor })}
              />
            )}
            {text && (
              <IconButton
                tiny
                label={t("query.words.clear")}
                onClick={() => {
                  ask({ text: "" });
                  words.current?.focus();
                }}
              >
                <X />
              </IconButton>
            )}
          </div>
          {problem?.word && <Unreadable text={text} word={problem.word} sentence={explain(problem)} />}
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
                onBlur={rest}
                onChange={(event) => ask({ notText: event.target.value })}
              />
              {notText && (
                <StrengthButton
                  part={t("part.not_text")}
                  factor={strengths.notText ?? 1}
                  onChange={(notText) => weigh({ notText })}
                />
              )}
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

          {((hasSketch && (many || picture)) ||
            image ||
            likes.length > 0 ||
            collapse ||
            everywhere ||
            Object.keys(filter).length > 0) && (
            <div className={styles.chips}>
              {hasSketch && (many || picture) && (
                <DrawingChip
                  marks={drawing.marks}
                  picture={picture}
                  factor={pair.sketch}
                  many={many}
                  onFactor={(factor) => weighPair({ sketch: factor })}
                  onPhoto={() => picture && void pictures.toPhoto(picture)}
                  onDrop={() => draw({ type: "clear" })}
                />
              )}
              {image && (
                <FileChip
                  file={image}
                  factor={strengths.image ?? 1}
                  many={many}
                  onFactor={(factor) => weigh({ image: factor })}
                  onSheet={() => void pictures.toSheet(image)}
                  onDrop={() => ask({ image: null })}
                />
              )}
              {pictures.guessed !== null && pictures.guessed === image && (
                <Pill onClick={() => void pictures.toSheet(image)}>{t("pictures.to.drawing")}</Pill>
              )}
              {picture && pictures.guessed === picture && (
                <Pill onClick={() => void pictures.toPhoto(picture)}>{t("pictures.to.photo")}</Pill>
              )}
              {likes.map((like) => {
                const kind = like.against ? "notLike" : "like";
                return (
                  <LikeChip
                    key={`${like.id} ${like.box}`}
                    collections={everywhere ? [collection, ...names] : [collection]}
                    like={like}
                    factor={strengths[kind] ?? 1}
                    many={many}
                    onFactor={(factor) => weigh({ [kind]: factor })}
                    onAgainst={(against) => dispatch({ type: "also", like: { ...like, against } })}
                    onDrop={() => ask({ likes: likes.filter((other) => other !== like) })}
                  />
                );
              })}
              {inWords(filter, conditions, formats, t).map((condition) => (
                <FilterChip
                  key={condition.words}
                  label={condition.words}
                  onDrop={() => ask({ filter: condition.without })}
                />
              ))}
              {everywhere && <FilterChip label={t("where.all")} onDrop={() => ask({ everywhere: false })} />}
              {collapse && <FilterChip label={t(`stack.${collapse}`)} onDrop={() => ask({ collapse: null })} />}
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
            <Filters
              collection={collection}
              filter={filter}
              collapse={collapse}
              everywhere={everywhere}
              onChange={ask}
            />
            {!blank && (
              <IconButton tiny label={t("share")} className={styles.share} onClick={() => void share()}>
                <Link />
              </IconButton>
            )}
            <input
              ref={chooser}
              type="file"
              accept={accept}
              hidden
              aria-label={t("query.similar.file")}
              onChange={(event) => {
                const [file] = event.target.files ?? [];
                if (file) void pictures.takePhoto(file);
                event.target.value = "";
              }}
            />
          </div>

          <Balance balance={balance} active={both} onChange={(next) => ask({ balance: next })} />
          {blank && <Recents collection={collection} dispatch={dispatch} />}
        </div>
      </form>
    </search>
  );
}

/** The words with the one that cannot be read marked, and why. */
function Unreadable({ text, word, sentence }: { text: string; word: NonNullable<Problem["word"]>; sentence: string }) {
  const { position, length } = word;
  const letters = [...text]; // the server counts characters, not UTF-16's units
  const [before, marked, after] = [[0, position], [position, position + length], [position + length]].map(
    ([from, to]) => letters.slice(from, to).join(""),
  );
  return (
    <p id="words-problem" className={styles.unreadable} role="alert">
      <span aria-hidden="true">
        {before}
        <mark>{marked}</mark>
        {after}
      </span>
      {sentence}
    </p>
  );
}
