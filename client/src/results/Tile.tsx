import { Check } from "lucide-react";
import { type KeyboardEvent, type MouseEvent, memo, type PointerEvent, useEffect, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import { baseName } from "../i18n/format";
import { address } from "../server/client";
import type { Hit, Picture } from "../server/types";
import { cx } from "../ui/cx";
import styles from "./Grid.module.css";
import { shownAspect } from "./justify";
import type { Place } from "./layout";
import { inWords, isHit, PartsBar } from "./Parts";
import type { Best } from "./reason";
import { membersOf } from "./stacks";
import { isDecoded, smallUrl } from "./thumbs";

const SMALL = 256; // long side of the small thumbnail, px
const BLUR = 1.25; // so many pixels of the screen may one of the small thumbnail cover
const REST_MS = 300; // a tile that is scrolled by asks for no large thumbnail
const PRESS_MS = 450; // a finger that rests so long chooses
const STIR = 8; // px that it may stir meanwhile

export interface TileActions {
  open: (id: number) => void;
  /** `range`: with all between it and the last chosen one. */
  choose: (id: number, range: boolean) => void;
  unfold: (id: number) => void;
  keys: (event: KeyboardEvent<HTMLButtonElement>, id: number) => void;
  focus: (id: number) => void;
}

// A result is dragged into the question; where there are only fingers, a long press chooses it instead.
const DRAGS = window.matchMedia("(any-pointer: fine)").matches;

interface Props {
  place: Place<Picture | Hit>;
  /** Pictures of the answer, null while more may follow. */
  total: number | null;
  /** The best of the answer: its score, and its parts. */
  best: { score: number; parts: Best };
  /** The one tile that Tab reaches. */
  entry: boolean;
  chosen: boolean;
  home: string;
  /** What was collapsed into it is shown, too. */
  unfolded: boolean;
  /** Some tile is chosen: a press chooses, too. */
  choosing: boolean;
  actions: TileActions;
}

/** The address of the thumbnail that this tile deserves: the small one at once, the large one where the small would be blurred. */
function useThumbnail(picture: Picture | Hit, drawn: number): string {
  const small = smallUrl(picture);
  const [sharp, setSharp] = useState<string | null>(null);
  const wanted = drawn * window.devicePixelRatio > SMALL * BLUR;
  useEffect(() => {
    if (!wanted) return;
    const large = address(picture.thumbnail_url, { size: "large" });
    let image: HTMLImageElement | null = null;
    const rest = setTimeout(() => {
      const loading = new Image();
      image = loading;
      loading.fetchPriority = "low";
      loading.src = large;
      loading.decode().then(
        () => image && setSharp(large),
        () => undefined,
      );
    }, REST_MS);
    return () => {
      clearTimeout(rest);
      if (image) image.src = "";
      image = null;
    };
  }, [wanted, picture.thumbnail_url]);
  return sharp ?? small;
}

/** A finger that rests on a tile chooses it, and does not open it when it leaves. */
function useLongPress(choose: () => void) {
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  const start = useRef({ x: 0, y: 0 });
  const pressed = useRef(false);
  useEffect(() => () => clearTimeout(timer.current), []);
  const stop = (): void => clearTimeout(timer.current);
  return {
    /** Whether the click that ends now was a long press. */
    taken: (): boolean => {
      const was = pressed.current;
      pressed.current = false;
      return was;
    },
    handlers: {
      onPointerDown: (event: PointerEvent) => {
        pressed.current = false;
        // On a device with both, a resting finger must not begin to drag.
        const tile = event.currentTarget.closest("li");
        if (tile && DRAGS) tile.draggable = event.pointerType !== "touch";
        if (event.pointerType !== "touch") return;
        start.current = { x: event.clientX, y: event.clientY };
        timer.current = setTimeout(() => {
          pressed.current = true;
          choose();
        }, PRESS_MS);
      },
      onPointerMove: (event: PointerEvent) => {
        const { x, y } = start.current;
        if (Math.hypot(event.clientX - x, event.clientY - y) > STIR) stop();
      },
      onPointerUp: stop,
      onPointerCancel: stop,
      onContextMenu: (event: MouseEvent) => pressed.current && event.preventDefault(),
    },
  };
}

function TilePlain({ place, total, best, entry, chosen, home, unfolded, choosing, actions }: Props) {
  const speech = useSpeech();
  const { item: picture, index, left, top, width, height } = place;
  const { id } = picture;
  const aspect = picture.width / picture.height || 1;
  // Cropped tiles show a wider picture than their own width.
  const drawn = shownAspect(picture) === aspect ? Math.max(width, height) : Math.max(width, height, height * aspect);
  const src = useThumbnail(picture, drawn);
  const [state, setState] = useState<"loading" | "shown" | "broken">(isDecoded(src) ? "shown" : "loading");
  const press = useLongPress(() => actions.choose(id, false));
  const name = baseName(picture.path);
  const hit = isHit(picture) ? picture : null;
  const members = membersOf(picture).length;
  return (
    <li
      className={cx(styles.tile, chosen && styles.chosen, choosing && styles.choosing)}
      style={{ width, height, transform: `translate(${left}px, ${top}px)` }}
      draggable={!choosing && DRAGS}
      aria-setsize={total ?? -1}
      aria-posinset={index + 1}
      data-tile={id}
      data-score={hit?.score}
    >
      <button
        type="button"
        className={styles.picture}
        title={name}
        aria-label={hit ? `${name}, ${inWords(hit, best.parts, speech)}` : name}
        aria-keyshortcuts="x"
        tabIndex={entry ? 0 : -1}
        data-id={id}
        data-state={state}
        onFocus={() => actions.focus(id)}
        onKeyDown={(event) => actions.keys(event, id)}
        onClick={(event) => {
          if (press.taken()) return;
          if (choosing || event.shiftKey || event.ctrlKey || event.metaKey) actions.choose(id, event.shiftKey);
          else actions.open(id);
        }}
        {...press.handlers}
      >
        {state === "broken" ? (
          <span className={styles.broken}>{name}</span>
        ) : (
          <img
            src={src}
            width={Math.round(width)}
            height={Math.round(height)}
            alt=""
            decoding={state === "shown" ? "sync" : "async"}
            draggable="false"
            onLoad={() => setState("shown")}
            onError={() => setState("broken")}
          />
        )}
      </button>
      {/* biome-ignore lint/a11y/useSemanticElements: a native box cannot lie on a picture as this does */}
      <button
        type="button"
        className={styles.check}
        role="checkbox"
        aria-checked={chosen}
        aria-label={speech.t("gallery.choose", { name })}
        tabIndex={-1}
        // It appears below the finger whose long press brought it.
        onClick={(event) => press.taken() || actions.choose(id, event.shiftKey)}
      >
        <Check />
      </button>
      {members > 0 && (
        <button
          type="button"
          className={styles.members}
          aria-expanded={unfolded}
          aria-label={speech.t("stack.members", { count: members, name })}
          tabIndex={entry ? 0 : -1}
          onClick={() => actions.unfold(id)}
        >
          {unfolded ? "−" : `+${members}`}
        </button>
      )}
      {picture.collection !== home && <span className={styles.elsewhere}>{picture.collection}</span>}
      {picture.missing && <span className={styles.missing}>{speech.t("missing.badge")}</span>}
      {hit && <PartsBar hit={hit} best={best.score} />}
    </li>
  );
}

export const Tile = memo(TilePlain);
