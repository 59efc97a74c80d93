import { useSpeech } from "../i18n";
import type { Hit, Picture } from "../server/types";
import styles from "./Foot.module.css";

const SAMPLES = /[\\/]sample-gallery[\\/]/; // the folder that a first start fills

export function Foot({ pictures }: { pictures: readonly (Hit | Picture)[] }) {
  const { t } = useSpeech();
  return (
    <footer className={styles.foot}>
      {pictures.some((picture) => SAMPLES.test(picture.path)) && (
        <p>
          {t("foot.samples")}{" "}
          <a href="https://openmoji.org/" target="_blank" rel="noreferrer">
            OpenMoji
          </a>
          ,{" "}
          <a href="https://creativecommons.org/licenses/by-sa/4.0/" target="_blank" rel="noreferrer">
            CC BY-SA 4.0
          </a>
        </p>
      )}
      <p>{t("foot.private")}</p>
    </footer>
  );
}
