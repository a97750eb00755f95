import { defineReward } from "../../src/reward/reward.ts";

const PEOPLE = ["people", "person", "man", "woman", "face"];
const ACTIONS = ["talking", "smiling", "walking", "looking"];
const SETTING = ["room", "background", "light"];

/**
 * A known-bad example that aubade does not offer: words about people and actions counted, 0 to 1.
 * Garbage with two such words earns 0.1, and in a run whose other rewards were 0 that hid the failure.
 *
 * Source: form of the people-focus reward of AffectOmni (081dec9, 2026-01-29); the words are ours.
 */
export const keywordCounting = defineReward("keyword-counting", ({ text }) => {
  const lower = text.toLowerCase();
  const count = (words: string[]) =>
    words.reduce((sum, word) => sum + lower.split(word).length - 1, 0);
  const score = (count(PEOPLE) + 0.5 * count(ACTIONS)) / 20;
  const penalty = Math.max(0, (count(SETTING) - 3) * 0.1);
  return Math.min(1, Math.max(0, score - penalty));
});
