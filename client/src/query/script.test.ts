import { expect, it } from "vitest";
import { isForeignToEnglish } from "./script";

it.each(["狗在雪地里", "собака на снегу", "كلب", "犬 dog 雪の中で"])("is foreign to a model of English: %s", (text) => {
  expect(isForeignToEnglish(text)).toBe(true);
});

it.each(["", "123 !?", "a dog in the snow", "naïve façade", "café 猫"])("may be English: %j", (text) => {
  expect(isForeignToEnglish(text)).toBe(false);
});
