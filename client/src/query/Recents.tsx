import { Image, X } from "lucide-react";
import { type Dispatch, useEffect, useState } from "react";
import { parseAddress } from "../app/address";
import { forgetAll, type Recent, recents } from "../app/entries";
import type { Step } from "../app/question";
import { presentName } from "../app/usePage";
import { useSpeech } from "../i18n";
import { MiniSketch } from "../sketch/MiniSketch";
import { IconButton } from "../ui/Button";
import styles from "./Recents.module.css";

const SHOWN = 8;

/** The last questions with their sketches, for an empty sheet. */
export function Recents({ collection, dispatch }: { collection: string; dispatch: Dispatch<Step> }) {
  const { t } = useSpeech();
  const [found, setFound] = useState<readonly Recent[]>([]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: the collection on screen decides what its address says
  useEffect(() => {
    let current = true;
    void recents(parseAddress(window.location.search).collection, SHOWN).then((list) => current && setFound(list));
    return () => {
      current = false;
    };
  }, [collection]);
  if (found.length === 0) return null;
  return (
    <section className={styles.recents} aria-label={t("recents")}>
      <header>
        <h2>{t("recents")}</h2>
        <IconButton
          tiny
          label={t("recents.forget")}
          onClick={() => void forgetAll(presentName()).then(() => setFound([]))}
        >
          <X />
        </IconButton>
      </header>
      <ul>
        {found.map(({ name, search, drawing, image }) => {
          const { query } = parseAddress(search);
          const drawn = drawing.marks.length > 0;
          const pasted = drawing.marks.find((mark) => mark.kind === "picture");
          const words = [query.text, query.notText && `− ${query.notText}`].filter(Boolean).join(" ");
          const label = [drawn && t("part.sketch"), (image || query.likes.length > 0) && t("part.image"), words];
          return (
            <li key={name}>
              <button
                type="button"
                aria-label={t("recents.again", { what: label.filter(Boolean).join(", ") })}
                onClick={() => dispatch({ type: "repeat", query, held: { drawing, image } })}
              >
                {pasted ? <img src={pasted.src} alt="" /> : drawn && <MiniSketch marks={drawing.marks} />}
                {(image || query.likes.length > 0) && <Image />}
                {words && <span>{words}</span>}
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
