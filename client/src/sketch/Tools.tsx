import { Ellipsis, Eraser, Pencil, Redo2, Trash2, Undo2 } from "lucide-react";
import { type ComponentProps, useRef } from "react";
import { useSpeech } from "../i18n";
import { percent } from "../i18n/format";
import { Button } from "../ui/Button";
import { Popover } from "../ui/Popover";
import { EXAMPLES } from "./examples";
import { MiniSketch } from "./MiniSketch";
import { SIZES, type Tool } from "./pen";
import type { Change, Drawing } from "./strokes";
import styles from "./Tools.module.css";

interface Props {
  drawing: Drawing;
  tool: Tool;
  onTool: (tool: Partial<Tool>) => void;
  onChange: (change: Change) => void;
  /** How large the sheet is seen, 1 being whole, and the way to change it by a factor. */
  scale: number;
  onZoom: (factor: number) => void;
  tracing: boolean;
  /** A photo to lie under the sheet, or none any more. */
  onTrace: (file: File | null) => void;
  /** A picture that was chosen for the sheet. */
  onPicture: (file: File) => void;
  /** A pen was seen: fingers move the sheet, unless they shall draw too. */
  penSeen: boolean;
}

export function Tools({ drawing, tool, onTool, onChange, onPicture, ...more }: Props) {
  const { t } = useSpeech();
  const chooser = useRef<HTMLInputElement>(null);
  const tracer = useRef<HTMLInputElement>(null);
  const { marks, past, future } = drawing;
  const dot = SIZES[tool.size]?.width ?? SIZES[1].width;
  return (
    <div className={styles.tools} role="toolbar" aria-label={t("sketch.tools")}>
      <div className={styles.group}>
        <ToolButton
          label={t("sketch.pen")}
          keys="B"
          aria-pressed={!tool.erasing}
          onClick={() => onTool({ erasing: false })}
        >
          <Pencil />
        </ToolButton>
        <ToolButton
          label={t("sketch.eraser")}
          keys="E"
          aria-pressed={tool.erasing}
          onClick={() => onTool({ erasing: true })}
        >
          <Eraser />
        </ToolButton>
        <Popover
          label={t("sketch.width")}
          className={styles.sizes}
          trigger={(trigger) => (
            <ToolButton label={t("sketch.width")} {...trigger}>
              <span className={styles.dot} style={{ width: dot + 1, height: dot + 1 }} />
            </ToolButton>
          )}
        >
          <fieldset className={styles.group}>
            <legend className="visually-hidden">{t("sketch.width")}</legend>
            {SIZES.map(({ name, width }, index) => (
              <label key={name} className={styles.tool} title={`${t(name)} (${index + 1})`}>
                <input
                  type="radio"
                  name="width"
                  aria-label={t(name)}
                  checked={tool.size === index}
                  onChange={() => onTool({ size: index })}
                />
                <span className={styles.dot} style={{ width: width + 1, height: width + 1 }} />
              </label>
            ))}
          </fieldset>
          <fieldset className={styles.choice}>
            <legend>{t("sketch.rubber")}</legend>
            {([false, true] as const).map((whole) => (
              <label key={String(whole)}>
                <input
                  type="radio"
                  name="rubber"
                  checked={tool.whole === whole}
                  onChange={() => onTool({ whole, erasing: true })}
                />
                {t(whole ? "sketch.rubber.whole" : "sketch.rubber.part")}
              </label>
            ))}
          </fieldset>
        </Popover>
      </div>
      <div className={styles.group}>
        <ToolButton
          label={t("sketch.undo")}
          keys="Ctrl+Z"
          off={past.length === 0}
          onClick={() => onChange({ type: "undo" })}
        >
          <Undo2 />
        </ToolButton>
        <ToolButton
          label={t("sketch.redo")}
          keys="Ctrl+Shift+Z"
          off={future.length === 0}
          onClick={() => onChange({ type: "redo" })}
        >
          <Redo2 />
        </ToolButton>
        <ToolButton label={t("sketch.clear")} off={marks.length === 0} onClick={() => onChange({ type: "clear" })}>
          <Trash2 />
        </ToolButton>
        <Popover
          label={t("sketch.more")}
          className={styles.more}
          trigger={(trigger) => (
            <ToolButton label={t("sketch.more")} {...trigger}>
              <Ellipsis />
            </ToolButton>
          )}
        >
          {(close) => (
            <More
              {...more}
              drawing={drawing}
              tool={tool}
              onTool={onTool}
              onChange={(change) => {
                onChange(change);
                close();
              }}
              onLoad={() => chooser.current?.click()}
              onTracePhoto={() => tracer.current?.click()}
            />
          )}
        </Popover>
      </div>
      <input
        ref={chooser}
        type="file"
        accept="image/*"
        hidden
        aria-label={t("sketch.file")}
        onChange={(event) => {
          const [file] = event.target.files ?? [];
          if (file) onPicture(file);
          event.target.value = "";
        }}
      />
      <input
        ref={tracer}
        type="file"
        accept="image/*"
        hidden
        aria-label={t("sketch.trace.file")}
        onChange={(event) => {
          more.onTrace(event.target.files?.[0] ?? null);
          event.target.value = "";
        }}
      />
    </div>
  );
}

interface MoreProps extends Omit<Props, "onPicture"> {
  onLoad: () => void;
  onTracePhoto: () => void;
}

function More(props: MoreProps) {
  const { drawing, tool, onTool, onChange, scale, onZoom, tracing, onTrace, penSeen, onLoad, onTracePhoto } = props;
  const { t } = useSpeech();
  const save = async (format: "png" | "svg"): Promise<void> => {
    const { download } = await import("./download");
    await download(drawing.marks, format);
  };
  return (
    <>
      <div className={styles.zoom}>
        <span>{t("sketch.zoom")}</span>
        <Button small aria-label={t("sketch.zoom.out")} onClick={() => onZoom(1 / 1.5)}>
          {"−"}
        </Button>
        <Button small aria-label={t("sketch.zoom.whole", { share: percent(scale) })} onClick={() => onZoom(0)}>
          {percent(scale)}
        </Button>
        <Button small aria-label={t("sketch.zoom.in")} onClick={() => onZoom(1.5)}>
          {"+"}
        </Button>
      </div>
      <div className={styles.row}>
        <Button small title={t("sketch.load.how")} onClick={onLoad}>
          {t("sketch.load")}
        </Button>
        {tracing ? (
          <Button small onClick={() => onTrace(null)}>
            {t("sketch.trace.end")}
          </Button>
        ) : (
          <Button small title={t("sketch.trace.how")} onClick={onTracePhoto}>
            {t("sketch.trace")}
          </Button>
        )}
      </div>
      <div className={styles.row}>
        <Button small disabled={drawing.marks.length === 0} onClick={() => void save("png")}>
          {t("sketch.save", { format: "PNG" })}
        </Button>
        <Button small disabled={drawing.marks.length === 0} onClick={() => void save("svg")}>
          {t("sketch.save", { format: "SVG" })}
        </Button>
      </div>
      {penSeen && (
        <label className={styles.check}>
          <input
            type="checkbox"
            checked={tool.fingers}
            onChange={(event) => onTool({ fingers: event.target.checked })}
          />
          {t("sketch.fingers")}
        </label>
      )}
      <ul className={styles.examples} aria-label={t("sketch.examples")}>
        {EXAMPLES.filter(({ marks }) => marks.length > 0).map(({ name, marks }) => (
          <li key={name}>
            <button
              type="button"
              className={styles.example}
              aria-label={t("sketch.example", { name: t(name) })}
              title={t(name)}
              onClick={() => onChange({ type: "load", marks })}
            >
              <MiniSketch marks={marks} />
            </button>
          </li>
        ))}
      </ul>
    </>
  );
}

interface ToolButtonProps extends ComponentProps<"button"> {
  label: string;
  /** The shortcut, for the tooltip. */
  keys?: string;
  /** Nothing to do: it keeps the focus all the same, which a disabled button would lose. */
  off?: boolean;
}

function ToolButton({ label, keys, off = false, onClick, ...rest }: ToolButtonProps) {
  return (
    <button
      type="button"
      className={styles.tool}
      aria-label={label}
      title={keys ? `${label} (${keys})` : label}
      aria-disabled={off || undefined}
      onClick={off ? undefined : onClick}
      {...rest}
    />
  );
}
