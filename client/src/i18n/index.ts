/** The page's words in the user's language. `t` knows the sentences and the names of what is filled in; a missing one does not compile. */

import { useSyncExternalStore } from "react";
import type { Problem } from "../server/problem";
import { en } from "./en";

export const LANGUAGES = { en: "English", zh: "中文" } as const;
export type Language = keyof typeof LANGUAGES;
export type Key = keyof typeof en;
/** `other` alone serves languages without plural; the number that decides is called `count`. */
export type Message = string | { one?: string; other: string };
export interface Catalogue {
  messages: Record<Key, Message>;
  /** Sentences by the `code` of the server's problems. English has none: the server's own are English and say more. */
  problems: Readonly<Record<string, string>>;
}

/** Whether there are words of this page's for something that the server names. */
export const has = (key: string): key is Plain => key in en;
/** Keys of messages in which nothing is filled in. */
type Plain = { [K in Key]: [Filled<K>] extends [never] ? K : never }[Key];

type Names<Text> = Text extends `${string}{${infer Name}}${infer Rest}` ? Name | Names<Rest> : never;
type Text<M> = M extends string ? M : M extends { other: infer Other } ? Other : never;
type Filled<K extends Key> = Names<Text<(typeof en)[K]>>;
type Values<K extends Key> = [Filled<K>] extends [never] ? [] : [values: Record<Filled<K>, string | number>];

const STORE = "tsir.language";

/** The user's own variety of a language ("en-GB"), which decides how dates and numbers look. */
function localeOf(language: Language): string {
  const wished = typeof navigator === "undefined" ? [] : (navigator.languages ?? []);
  return wished.find((tag) => tag === language || tag.startsWith(`${language}-`)) ?? language;
}

function speak(language: Language, { messages, problems }: Catalogue) {
  const locale = localeOf(language);
  const numbers = new Intl.NumberFormat(locale);
  const plural = new Intl.PluralRules(locale);

  function t<K extends Key>(key: K, ...[values]: Values<K>): string {
    const given: Readonly<Record<string, string | number>> = values ?? {};
    const message: Message = messages[key];
    const text =
      typeof message === "string"
        ? message
        : ((plural.select(Number(given.count)) === "one" ? message.one : undefined) ?? message.other);
    return text.replace(/\{(\w+)\}/g, (_, name: string) => {
      const value = given[name];
      return typeof value === "number" ? numbers.format(value) : (value ?? "");
    });
  }

  /** A problem as a sentence: by its code, with the server's own words behind, or those alone. */
  function explain(problem: Problem): string {
    const { code, message, status } = problem;
    if (code === "no_answer") return t("problem.no_answer");
    if (code === "gateway") return t("problem.gateway");
    if (code === "status") return t("problem.status", { status: String(status) });
    const known = problems[code];
    return known ? (message ? t("problem.detail", { sentence: known, detail: message }) : known) : message;
  }

  return { language, locale, t, explain };
}

export type Speech = ReturnType<typeof speak>;
export type Translate = Speech["t"];

let speech = speak("en", { messages: en, problems: {} });
const listeners = new Set<() => void>();

/** The language that is spoken now; components take it from `useSpeech`, which tells them of a change. */
export const spoken = (): Speech => speech;

/** The user's choice, else the first language of the browser's that there is, else English. */
export function preferred(): Language {
  const known = (tag: string | null): Language | undefined =>
    (Object.keys(LANGUAGES) as Language[]).find((language) => tag?.toLowerCase().split("-")[0] === language);
  const wished = navigator.languages ?? [navigator.language];
  return known(localStorage.getItem(STORE)) ?? wished.map(known).find((language) => language !== undefined) ?? "en";
}

/** Fetches a language's words and speaks it from now on. */
export async function setLanguage(language: Language): Promise<void> {
  const catalogue = language === "zh" ? (await import("./zh")).zh : { messages: en, problems: {} };
  speech = speak(language, catalogue);
  if (typeof document !== "undefined") {
    document.documentElement.lang = language === "zh" ? "zh-CN" : language;
    document.title = speech.t("page.title");
  }
  for (const listener of listeners) listener();
}

/** The same, as a choice that outlives the visit. */
export async function chooseLanguage(language: Language): Promise<void> {
  await setLanguage(language);
  localStorage.setItem(STORE, language);
}

const subscribe = (listener: () => void): (() => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

export const useSpeech = (): Speech => useSyncExternalStore(subscribe, spoken);
