import { type RefObject, useEffect, useState } from "react";
import { address } from "../server/client";
import type { Picture } from "../server/types";
import styles from "./LargePicture.module.css";

interface Props {
  picture: Picture;
  name: string;
  /** Quarters of a turn, clockwise. */
  turn: number;
  element: RefObject<HTMLImageElement | null>;
  view: { scale: number; x: number; y: number };
  /** It follows a finger at once, and everything else smoothly. */
  moving: boolean;
}

export const largeUrl = (picture: Picture): string => address(picture.thumbnail_url, { size: "large" });

/** The large thumbnail at once, the original over it as soon as the browser has it (HEIC, TIFF and missing ones stay thumbnails). */
export function LargePicture({ picture, name, turn, element, view, moving }: Props) {
  const original = address(picture.file_url);
  const [sharp, setSharp] = useState<string | null>(null);
  const { missing } = picture;
  useEffect(() => {
    if (missing) return;
    const image = new Image();
    let current = true;
    image.src = original;
    image.decode().then(
      () => current && setSharp(original),
      () => undefined,
    );
    return () => {
      current = false;
      image.src = "";
    };
  }, [original, missing]);
  return (
    <img
      ref={element}
      className={styles.large}
      src={sharp ?? largeUrl(picture)}
      alt={name}
      width={picture.width}
      height={picture.height}
      data-turned={turn % 2 === 1 || undefined}
      data-moving={moving || undefined}
      data-scale={Math.round(view.scale * 100) / 100}
      style={
        {
          "--aspect": picture.width / picture.height,
          "--natural": `${picture.width}px`,
          transform: `translate(${view.x}px, ${view.y}px) scale(${view.scale}) rotate(${turn * 90}deg)`,
        } as React.CSSProperties
      }
      draggable="false"
    />
  );
}
