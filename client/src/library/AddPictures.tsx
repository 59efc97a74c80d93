import { type FormEvent, useEffect, useRef, useState } from "react";
import { api, Problem } from "../api/client";
import type { Job, System } from "../api/types";
import { FolderIcon, LinkIcon, UploadIcon } from "../ui/icons";
import { parcels } from "./parcels";

type Way = "folder" | "files" | "addresses";
const WAYS: readonly { way: Way; label: string; Icon: () => React.ReactNode }[] = [
  { way: "folder", label: "Folder", Icon: FolderIcon },
  { way: "files", label: "Files", Icon: UploadIcon },
  { way: "addresses", label: "Web", Icon: LinkIcon },
];

interface Props {
  collection: string;
  system: System | null;
  /** Files that were dropped on the page: sent at once. */
  dropped: readonly File[] | null;
  onDroppedTaken: () => void;
  onStarted: (job: Job) => void;
}

export function AddPictures({ collection, system, dropped, onDroppedTaken, onStarted }: Props) {
  const roots = system?.import_roots ?? [];
  const [chosen, setChosen] = useState<Way | null>(null);
  const [path, setPath] = useState<string | null>(null);
  const [addresses, setAddresses] = useState("");
  const [busy, setBusy] = useState(false);
  const [sent, setSent] = useState(0);
  const [problem, setProblem] = useState<string | null>(null);
  const chooser = useRef<HTMLInputElement>(null);
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
      setProblem(error instanceof Problem ? error.message : String(error));
    }
    setBusy(false);
  };

  const upload = (files: readonly File[]): void => {
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

  const submitAddresses = (event: FormEvent): void => {
    event.preventDefault();
    const urls = addresses.split(/\s+/).filter(Boolean);
    if (urls.length === 0) setProblem("Paste at least one address that begins with http:// or https://.");
    else void begin([() => api.importUrls(collection, urls)]);
  };

  return (
    <div className="add">
      <div className="tabs" role="tablist" aria-label="Where the pictures come from">
        {WAYS.map(({ way: name, label, Icon }) => (
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
            <Icon /> {label}
          </button>
        ))}
      </div>
      <div id="way-panel" role="tabpanel" aria-labelledby={`way-${way}`}>
        {way === "folder" && (
          <form
            onSubmit={(event) => {
              event.preventDefault();
              void begin([() => api.importFolder(collection, folder.trim())]);
            }}
          >
            <label className="field">
              <span>Folder on the server</span>
              <input
                type="text"
                list="import-roots"
                placeholder="/path/of/your/photos"
                spellCheck="false"
                autoComplete="off"
                required
                value={folder}
                onChange={(event) => setPath(event.target.value)}
              />
            </label>
            <datalist id="import-roots">
              {roots.map((root) => (
                <option key={root} value={root} />
              ))}
            </datalist>
            <p className="hint">
              {roots.length > 0 ? (
                <>
                  The pictures stay where they are. Allowed:{" "}
                  {roots.map((root, index) => (
                    <span key={root}>
                      {index > 0 && ", "}
                      <code>{root}</code>
                    </span>
                  ))}{" "}
                  and folders inside.
                </>
              ) : (
                <>
                  This server allows no folders yet: start it with <code>IMAGE_ROOTS</code> set, or upload files.
                </>
              )}
            </p>
            <button type="submit" className="button primary" disabled={busy}>
              {busy ? "Starting…" : "Import folder"}
            </button>
          </form>
        )}
        {way === "files" && (
          <button
            type="button"
            className="dropzone"
            data-drop="add"
            disabled={busy}
            onClick={() => chooser.current?.click()}
          >
            <UploadIcon />
            <span>{busy ? `Uploading… ${Math.floor(sent * 100)} %` : "Drop pictures or a zip here"}</span>
            <span className="hint">{busy ? "Keep this page open until it is done" : "or press to choose"}</span>
          </button>
        )}
        {way === "addresses" && (
          <form onSubmit={submitAddresses}>
            <label className="field">
              <span>Addresses of pictures, one a line</span>
              <textarea
                rows={4}
                placeholder="https://example.org/cat.jpg"
                spellCheck="false"
                value={addresses}
                onChange={(event) => setAddresses(event.target.value)}
              />
            </label>
            <button type="submit" className="button primary" disabled={busy}>
              {busy ? "Starting…" : "Fetch pictures"}
            </button>
          </form>
        )}
        <input
          ref={chooser}
          type="file"
          accept="image/*,.heic,.heif,.avif,.zip,application/zip"
          multiple
          hidden
          aria-label="Pictures or zips to upload"
          onChange={(event) => {
            upload([...(event.target.files ?? [])]);
            event.target.value = "";
          }}
        />
        {problem && (
          <p className="notice bad" role="alert">
            {problem}
          </p>
        )}
      </div>
    </div>
  );
}
