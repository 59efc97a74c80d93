import { Folder, FolderUp, Link, Upload } from "lucide-react";
import { type DragEvent, type FormEvent, useEffect, useRef, useState } from "react";
import { useSpeech } from "../i18n";
import { list, percent } from "../i18n/format";
import { api } from "../server/client";
import { asProblem } from "../server/problem";
import { useAccept } from "../server/queries";
import type { Job, System } from "../server/types";
import { Button } from "../ui/Button";
import { Field } from "../ui/Field";
import { Notice } from "../ui/Notice";
import styles from "./AddPictures.module.css";
import { Folders } from "./Folders";
import { droppedFiles, pictures } from "./folders";
import { parcels } from "./parcels";

const WAYS = [
  { way: "folder", Icon: Folder },
  { way: "files", Icon: Upload },
  { way: "addresses", Icon: Link },
] as const;
type Way = (typeof WAYS)[number]["way"];

interface Props {
  collection: string;
  system: System | null;
  /** Files that were dropped on the page: sent at once. */
  dropped: readonly File[] | null;
  onDroppedTaken: () => void;
  onStarted: (job: Job) => void;
}

export function AddPictures({ collection, system, dropped, onDroppedTaken, onStarted }: Props) {
  const { t, explain } = useSpeech();
  const accept = useAccept(true);
  const roots = system?.import_roots ?? [];
  const [chosen, setChosen] = useState<Way | null>(null);
  const [path, setPath] = useState<string | null>(null);
  const [browsed, setBrowsed] = useState<string | null>(null);
  const [addresses, setAddresses] = useState("");
  const [busy, setBusy] = useState(false);
  const [sent, setSent] = useState(0);
  const [problem, setProblem] = useState<string | null>(null);
  const [hot, setHot] = useState(false); // files are held over the zone
  const chooser = useRef<HTMLInputElement>(null);
  const folderChooser = useRef<HTMLInputElement>(null);
  const way = chosen ?? (system && roots.length === 0 ? "files" : "folder");
  const folder = path ?? roots[0] ?? "";

  const begin = async (starts: readonly (() => Promise<Job>)[]): Promise<void> => {
    setBusy(true);
    setProblem(null);
    try {
      await api.create(collection); // the collection may not be there yet; an existing one stays as it is
      for (const start of starts) onStarted(await start());
      setAddresses("");
    } catch (error) {
      setProblem(explain(asProblem(error)));
    }
    setBusy(false);
  };

  const upload = (files: readonly File[]): void => {
    if (files.length === 0) {
      setProblem(t("add.files.none"));
      return;
    }
    const parts = parcels(files, (system?.limits.max_request_bytes ?? 2 ** 31) * 0.9);
    setSent(0);
    void begin(
      parts.map((part, index) => () => {
        return api.importFiles(collection, part, (share) => setSent((index + share) / parts.length));
      }),
    );
  };

  // biome-ignore lint/correctness/useExhaustiveDependencies: files are sent once, when they are dropped
  useEffect(() => {
    if (!dropped) return;
    setChosen("files");
    upload(dropped);
    onDroppedTaken();
  }, [dropped]);

  const drop = (event: DragEvent): void => {
    event.preventDefault();
    event.stopPropagation();
    setHot(false);
    if (!busy) void droppedFiles(event.nativeEvent).then(upload);
  };

  const submitAddresses = (event: FormEvent): void => {
    event.preventDefault();
    const urls = addresses.split(/\s+/).filter(Boolean);
    if (urls.length === 0) setProblem(t("add.addresses.none"));
    else void begin([() => api.importUrls(collection, urls)]);
  };

  return (
    <div className={styles.add}>
      <div className={styles.tabs} role="tablist" aria-label={t("add.ways")}>
        {WAYS.map(({ way: name, Icon }) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`way-${name}`}
            aria-selected={way === name}
            aria-controls="way-panel"
            onClick={() => {
              setChosen(name);
              setProblem(null);
            }}
          >
            <Icon /> {t(`add.${name}`)}
          </button>
        ))}
      </div>
      <div id="way-panel" className={styles.way} role="tabpanel" aria-labelledby={`way-${way}`}>
        {way === "folder" && (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void begin([() => api.importFolder(collection, folder.trim())]);
            }}
          >
            <Field label={t("add.folder.field")}>
              <input
                type="text"
                list="import-roots"
                placeholder={t("add.folder.example")}
                spellCheck="false"
                autoComplete="off"
                required
                value={folder}
                onChange={(event) => setPath(event.target.value)}
              />
            </Field>
            <datalist id="import-roots">
              {roots.map((root) => (
                <option key={root} value={root} />
              ))}
            </datalist>
            {roots.length > 0 && (
              <Folders
                at={browsed ?? (roots.length === 1 ? (roots[0] ?? null) : null)}
                several={roots.length > 1}
                onGo={(next) => {
                  setBrowsed(next);
                  if (next !== null) setPath(next);
                }}
              />
            )}
            <p className="hint">
              {roots.length > 0 ? t("add.folder.allowed", { folders: list(roots) }) : t("add.folder.none")}
            </p>
            <Button type="submit" look="primary" disabled={busy}>
              {t(busy ? "add.starting" : "add.folder.start")}
            </Button>
          </form>
        )}
        {way === "files" && (
          <>
            <button
              type="button"
              className={styles.dropzone}
              data-hot={hot || undefined}
              disabled={busy}
              onClick={() => chooser.current?.click()}
              onDragOver={(event) => {
                event.preventDefault();
                setHot(true);
              }}
              onDragLeave={() => setHot(false)}
              onDrop={drop}
            >
              <Upload />
              <span>{busy ? t("add.files.sent", { share: percent(sent) }) : t("add.files.drop")}</span>
              <span className="hint">{t(busy ? "add.files.stay" : "add.files.choose")}</span>
            </button>
            <Button disabled={busy} onClick={() => folderChooser.current?.click()}>
              <FolderUp /> {t("add.files.folder")}
            </Button>
            <p className="hint">{t("add.files.copies")}</p>
          </>
        )}
        {way === "addresses" && (
          <form onSubmit={submitAddresses}>
            <Field label={t("add.addresses.field")}>
              <textarea
                rows={4}
                placeholder="https://example.org/cat.jpg"
                spellCheck="false"
                value={addresses}
                onChange={(event) => setAddresses(event.target.value)}
              />
            </Field>
            <Button type="submit" look="primary" disabled={busy}>
              {t(busy ? "add.starting" : "add.addresses.start")}
            </Button>
          </form>
        )}
        <input
          ref={chooser}
          type="file"
          accept={accept}
          multiple
          hidden
          aria-label={t("add.files.chooser")}
          onChange={(event) => {
            upload([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
        <input
          ref={folderChooser}
          type="file"
          {...{ webkitdirectory: "" }} // known to every browser, not to the types
          multiple
          hidden
          aria-label={t("add.files.folder.chooser")}
          onChange={(event) => {
            upload(pictures([...(event.target.files ?? [])]));
            event.target.value = "";
          }}
        />
        {problem && <Notice bad>{problem}</Notice>}
      </div>
    </div>
  );
}
