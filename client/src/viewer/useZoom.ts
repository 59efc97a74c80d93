import { type PointerEvent, type RefObject, useCallback, useEffect, useRef, useState } from "react";

const MOST = 8; // times its fitted size
const STEP = 1.5; // of a key or a button
const TAP_MS = 300; // between the taps of a double tap
const STIR = 10; // px that a tapping finger may stir
const SWIPE = 60; // px that a finger must travel to turn the page

interface View {
  scale: number;
  /** Of the picture's middle from the stage's, px. */
  x: number;
  y: number;
}

interface Dot {
  x: number;
  y: number;
}

const FITTED: View = { scale: 1, x: 0, y: 0 };

/** The view after a zoom by which the point `at` (px from the stage's middle) stays where it is. */
export function zoomed(view: View, scale: number, at: Dot): View {
  const next = Math.min(MOST, Math.max(1, scale));
  if (next === 1) return FITTED;
  const by = next / view.scale;
  return { scale: next, x: at.x - (at.x - view.x) * by, y: at.y - (at.y - view.y) * by };
}

/** The view with the picture's edges not within the stage, where it is larger than that. Sizes in px at scale 1. */
export function bounded({ scale, x, y }: View, picture: Dot, stage: Dot): View {
  const room = (size: number, space: number): number => Math.max(0, (size * scale - space) / 2);
  const clamp = (value: number, most: number): number => Math.min(most, Math.max(-most, value)) || 0;
  return { scale, x: clamp(x, room(picture.x, stage.x)), y: clamp(y, room(picture.y, stage.y)) };
}

const distance = (a: Dot, b: Dot): number => Math.hypot(a.x - b.x, a.y - b.y);
const middle = (a: Dot, b: Dot): Dot => ({ x: (a.x + b.x) / 2, y: (a.y + b.y) / 2 });

export interface Zoom {
  view: View;
  /** A finger or the mouse moves it: it follows at once. */
  moving: boolean;
  by: (factor: number) => void;
  closer: () => void;
  farther: () => void;
  reset: () => void;
  pan: (dx: number, dy: number) => void;
  handlers: {
    onPointerDown: (event: PointerEvent) => void;
    onPointerMove: (event: PointerEvent) => void;
    onPointerUp: (event: PointerEvent) => void;
    onPointerCancel: (event: PointerEvent) => void;
    onDoubleClick: (event: React.MouseEvent) => void;
  };
}

/**
 * Wheel, pinch, double click and double tap zoom; a dragged picture follows; a swipe of a fitted one turns the page. `turned`: by a
 * quarter. Presses on buttons of the stage are theirs alone.
 */
export function useZoom(
  stage: RefObject<HTMLElement | null>,
  picture: RefObject<HTMLElement | null>,
  turned: boolean,
  onSwipe: (direction: 1 | -1) => void,
): Zoom {
  const [view, setView] = useState(FITTED);
  const [moving, setMoving] = useState(false);
  const pointers = useRef(new Map<number, Dot>());
  const began = useRef<{ at: Dot; time: number; far: boolean; pinched: boolean } | null>(null);
  const tapped = useRef<{ at: Dot; time: number } | null>(null);

  const set = useCallback(
    (change: (view: View) => View) =>
      setView((known) => {
        const next = change(known);
        const [box, frame] = [picture.current, stage.current];
        if (!box || !frame) return next;
        const size = { x: box.offsetWidth, y: box.offsetHeight };
        const seen = turned ? { x: size.y, y: size.x } : size;
        return bounded(next, seen, { x: frame.clientWidth, y: frame.clientHeight });
      }),
    [picture, stage, turned],
  );
  const fromMiddle = useCallback(
    (event: { clientX: number; clientY: number }): Dot => {
      const box = stage.current?.getBoundingClientRect();
      if (!box) return { x: 0, y: 0 };
      return { x: event.clientX - box.left - box.width / 2, y: event.clientY - box.top - box.height / 2 };
    },
    [stage],
  );
  const by = useCallback(
    (factor: number) => set((known) => zoomed(known, known.scale * factor, { x: 0, y: 0 })),
    [set],
  );
  const toggle = useCallback((at: Dot) => set((known) => (known.scale > 1 ? FITTED : zoomed(known, 2.5, at))), [set]);

  useEffect(() => {
    const element = stage.current;
    if (!element) return;
    const onWheel = (event: WheelEvent): void => {
      event.preventDefault(); // the browser would zoom or scroll the page
      const unit = event.deltaMode === 0 ? 1 : 16;
      // Pinches of a touchpad come as fine wheel steps with Ctrl.
      const factor = Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0022));
      set((known) => zoomed(known, known.scale * factor, fromMiddle(event)));
    };
    element.addEventListener("wheel", onWheel, { passive: false }); // React's own listener could not prevent it
    return () => element.removeEventListener("wheel", onWheel);
  }, [stage, set, fromMiddle]);

  const zoomedIn = view.scale > 1;
  useEffect(() => {
    const element = stage.current;
    if (!element) return;
    // What is ours here must not become a gesture of the browser, too: after the fling of a swipe it would swallow the next tap.
    const onMove = (event: TouchEvent): void => {
      const [finger] = event.touches;
      const from = began.current?.at;
      if (!event.cancelable || !finger || !from) return;
      const across = Math.abs(finger.clientX - from.x) >= Math.abs(finger.clientY - from.y);
      if (zoomedIn || event.touches.length > 1 || across) event.preventDefault();
    };
    element.addEventListener("touchmove", onMove, { passive: false });
    return () => element.removeEventListener("touchmove", onMove);
  }, [stage, zoomedIn]);

  const onButton = (event: PointerEvent | React.MouseEvent): boolean =>
    event.target instanceof Element && event.target.closest("button, a") !== null;

  const lift = (event: PointerEvent, cancelled: boolean): void => {
    const start = began.current;
    const at = { x: event.clientX, y: event.clientY };
    pointers.current.delete(event.pointerId);
    if (pointers.current.size > 0) return;
    began.current = null;
    setMoving(false);
    if (!start || cancelled || start.pinched || event.pointerType === "mouse") return;
    const [dx, dy] = [at.x - start.at.x, at.y - start.at.y];
    if (!start.far) {
      const last = tapped.current;
      const again = last && event.timeStamp - last.time < TAP_MS && distance(last.at, at) < 3 * STIR;
      tapped.current = again ? null : { at, time: event.timeStamp };
      if (again) toggle(fromMiddle(event));
    } else if (view.scale === 1 && Math.abs(dx) >= SWIPE && Math.abs(dx) > 1.5 * Math.abs(dy)) onSwipe(dx < 0 ? 1 : -1);
  };

  return {
    view,
    moving,
    by,
    closer: useCallback(() => by(STEP), [by]),
    farther: useCallback(() => by(1 / STEP), [by]),
    reset: useCallback(() => setView(FITTED), []),
    pan: useCallback((dx: number, dy: number) => set(({ scale, x, y }) => ({ scale, x: x + dx, y: y + dy })), [set]),
    handlers: {
      onPointerDown: (event) => {
        if (onButton(event) || (event.pointerType === "mouse" && event.button !== 0)) return;
        const at = { x: event.clientX, y: event.clientY };
        pointers.current.set(event.pointerId, at);
        if (pointers.current.size === 1) began.current = { at, time: event.timeStamp, far: false, pinched: false };
        else if (began.current) began.current.pinched = true;
        event.currentTarget.setPointerCapture(event.pointerId);
      },
      onPointerMove: (event) => {
        const before = pointers.current.get(event.pointerId);
        const start = began.current;
        if (!before || !start) return;
        const now = { x: event.clientX, y: event.clientY };
        const other = [...pointers.current].find(([id]) => id !== event.pointerId)?.[1];
        pointers.current.set(event.pointerId, now);
        if (distance(start.at, now) > STIR) start.far = true;
        if (other) {
          const factor = distance(now, other) / Math.max(1, distance(before, other));
          const [was, is] = [middle(before, other), middle(now, other)];
          const at = fromMiddle({ clientX: is.x, clientY: is.y });
          setMoving(true);
          set((known) => {
            const { scale, x, y } = zoomed(known, known.scale * factor, at);
            return { scale, x: x + is.x - was.x, y: y + is.y - was.y };
          });
        } else if (view.scale > 1) {
          setMoving(true);
          set(({ scale, x, y }) => ({ scale, x: x + now.x - before.x, y: y + now.y - before.y }));
        }
      },
      onPointerUp: (event) => lift(event, false),
      onPointerCancel: (event) => lift(event, true),
      // Touch has its own double tap: browsers disagree on this event there.
      onDoubleClick: (event) => {
        const touch = event.nativeEvent instanceof window.PointerEvent && event.nativeEvent.pointerType === "touch";
        if (!touch && !onButton(event)) toggle(fromMiddle(event));
      },
    },
  };
}
