import { useEffect, useState } from "react";
import { address } from "../server/client";
import type { Picture } from "../server/types";
import styles from "./LargePicture.module.css";

/** The large thumbnail at once, the original over it as soon as the browser has it (HEIC and TIFF stay thumbnails). */
export function LargePicture({ picture, name }: { picture: Picture; name: string }) {
  const original = address(picture.file_url);
  const [sharp, setSharp] = useState<string | null>(null);
  useEffect(() => {
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
  }, [original]);
  return (
    <img
      className={styles.large}
      src={sharp ?? address(picture.thumbnail_url, { size: "large" })}
      alt={name}
      width={picture.width}
      height={picture.height}
      style={{ "--aspect": picture.width / picture.height, "--natural": `${picture.width}px` } as React.CSSProperties}
      draggable="false"
    />
  );
}
