import { useState } from "react";
import { api, Problem } from "../api/client";
import type { Collection, Job, System } from "../api/types";
import { Dialog } from "../ui/Dialog";
import { pictures } from "../ui/format";
import { ClearIcon, CloseIcon, PlusIcon } from "../ui/icons";
import { AddPictures } from "./AddPictures";
import { JobCard } from "./JobCard";
import type { Jobs } from "./jobs";

const GOOD_NAME = /^[A-Za-z_][A-Za-z0-9_-]{0,63}$/;

const RECENT = 3; // imports that are listed at once

interface Props {
  collections: readonly Collection[];
  current: string;
  system: System | null;
  jobs: Jobs;
  dropped: readonly File[] | null;
  onDroppedTaken: () => void;
  onPick: (name: string) => void;
  onChanged: () => Promise<void>;
  onStarted: (job: Job) => void;
  onClose: () => void;
}

export function LibraryPanel(props: Props) {
  const { collections, current, system, jobs, onPick, onChanged, onStarted, onClose } = props;
  const [name, setName] = useState<string | null>(null);
  const [dropping, setDropping] = useState<string | null>(null);
  const [earlier, setEarlier] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const listed = collections.some((collection) => collection.name === current);

  const attempt = async (work: () => Promise<unknown>): Promise<boolean> => {
    setProblem(null);
    try {
      await work();
      await onChanged();
      return true;
    } catch (error) {
      setProblem(error instanceof Problem ? error.message : String(error));
      return false;
    }
  };

  const create = async (): Promise<void> => {
    const wanted = name?.trim() ?? "";
    if (!GOOD_NAME.test(wanted)) {
      setProblem("A collection's name has up to 64 letters, digits, - and _, and begins with a letter or _.");
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

  return (
    <Dialog className="drawer" label="Library" onClose={onClose}>
      <header className="drawer-head">
        <h2>Library</h2>
        <button type="button" className="icon-button" aria-label="Close" onClick={onClose}>
          <CloseIcon />
        </button>
      </header>

      <section aria-labelledby="add-title">
        <h3 id="add-title">
          Add pictures to <span className="name">{current}</span>
        </h3>
        <AddPictures
          collection={current}
          system={system}
          dropped={props.dropped}
          onDroppedTaken={props.onDroppedTaken}
          onStarted={onStarted}
        />
      </section>

      {jobs.jobs.length > 0 && (
        <section aria-labelledby="jobs-title">
          <h3 id="jobs-title">Imports</h3>
          <ul className="jobs">
            {jobs.jobs.slice(0, earlier ? 50 : Math.max(RECENT, jobs.running.length)).map((job) => (
              <JobCard
                key={job.id}
                job={job}
                elsewhere={job.collection !== current}
                onCancel={async () => {
                  await attempt(() => jobs.cancel(job.id));
                }}
                onDismiss={() => jobs.dismiss(job.id)}
                onInspect={() => jobs.inspect(job)}
              />
            ))}
          </ul>
          {!earlier && jobs.jobs.length > Math.max(RECENT, jobs.running.length) && (
            <button type="button" className="button quiet start" onClick={() => setEarlier(true)}>
              Earlier imports
            </button>
          )}
        </section>
      )}

      <section aria-labelledby="collections-title">
        <h3 id="collections-title">Collections</h3>
        {problem && (
          <p className="notice bad" role="alert">
            {problem}
          </p>
        )}
        <ul className="collections">
          {collections.map((collection) => (
            <li key={collection.name} className={collection.name === current ? "current" : ""}>
              <button
                type="button"
                className="collection"
                aria-current={collection.name === current}
                onClick={() => onPick(collection.name)}
              >
                <span className="name">{collection.name}</span>
                <span className="muted">
                  {pictures(collection.count)} · {collection.encoder.name}
                  {collection.state !== "ready" && ` · ${collection.state}`}
                </span>
              </button>
              {!collection.usable && collection.state === "ready" && (
                <button
                  type="button"
                  className="button small"
                  title={`Its vectors were made by ${collection.encoder.name}, which does not run here`}
                  onClick={() => void attempt(async () => onStarted(await api.reencode(collection.name)))}
                >
                  Encode again
                </button>
              )}
              <button
                type="button"
                className="icon-button"
                aria-label={`Drop ${collection.name}`}
                title="Drop this collection"
                onClick={() => setDropping(dropping === collection.name ? null : collection.name)}
              >
                <ClearIcon />
              </button>
              {dropping === collection.name && (
                <p className="confirm">
                  Drop “{collection.name}” with {pictures(collection.count)}? Files in server folders stay where they
                  are.
                  <span className="actions">
                    <button type="button" className="button small" onClick={() => setDropping(null)}>
                      Keep
                    </button>
                    <button type="button" className="button small danger" onClick={() => void drop(collection.name)}>
                      Drop
                    </button>
                  </span>
                </p>
              )}
            </li>
          ))}
          {!listed && (
            <li className="current">
              <span className="collection">
                <span className="name">{current}</span>
                <span className="muted">made with its first pictures</span>
              </span>
            </li>
          )}
        </ul>
        {name === null ? (
          <button type="button" className="button quiet" onClick={() => setName("")}>
            <PlusIcon /> New collection
          </button>
        ) : (
          <form
            className="inline-form"
            onSubmit={(event) => {
              event.preventDefault();
              void create();
            }}
          >
            <input
              type="text"
              aria-label="Name of the new collection"
              placeholder="holidays-2024"
              maxLength={64}
              autoFocus
              value={name}
              onChange={(event) => setName(event.target.value)}
            />
            <button type="submit" className="button primary">
              Create
            </button>
            <button type="button" className="button" onClick={() => setName(null)}>
              Cancel
            </button>
          </form>
        )}
      </section>

      {system && (
        <footer className="drawer-foot muted">
          tsir {system.version} · encoder {system.encoder.name} on {system.device}
          {system.advice.map((sentence) => (
            <p key={sentence} className="notice">
              {sentence}
            </p>
          ))}
        </footer>
      )}
    </Dialog>
  );
}
