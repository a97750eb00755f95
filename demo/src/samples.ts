/** Letters of the four options. */
export const LETTERS = ["A", "B", "C", "D"] as const;

/** A question with its options; the answer is a letter. */
export interface Question {
  text: string;
  options: string[];
  answer: string;
}

/** A sample clip: what it shows and plays in its four slots, and questions about it. */
export interface SampleClip {
  file: string;
  colours: string[];
  sounds: string[];
  questions: Question[];
}

/** The words that questions to the tiny model are made of. */
export const WORDS =
  "The model is tiny and knows few words. Ask \u201cWhich colour is shown first?\u201d or \u201cWhich " +
  "sound is heard last?\u201d (first, second, third, last), or \u201cWhich colour goes with bell?\u201d. " +
  "Colours: red, green, blue, yellow, purple, white. Sounds: horn, bell, hiss, chirp, buzz, " +
  "whistle. It sees 4 frames a second at 56 x 56 pixels. A question that you write yourself is " +
  "answered, but nobody knows here whether rightly.";

/**
 * Fetches the list of samples and the clips themselves.
 *
 * @throws {Error} with the server's words when they cannot be had.
 */
export async function loadSamples(): Promise<{ sample: SampleClip; data: Blob }[]> {
  const list = await get("clips/clips.json");
  const samples = (await list.json()) as SampleClip[];
  return Promise.all(
    samples.map(async (sample) => ({
      sample,
      data: await (await get(`clips/${sample.file}`)).blob(),
    })),
  );
}

async function get(path: string): Promise<Response> {
  const response = await fetch(new URL(path, document.baseURI));
  if (response.ok) return response;
  throw new Error(`${path} answered ${response.status}: ${(await response.text()).slice(0, 300)}`);
}

/** Writes a question as the model was taught to read it: a space before every word and mark. */
export function composePrompt(question: string, options: readonly string[]): string {
  const words = question
    .trim()
    .replaceAll(/\s+/g, " ")
    .replace(/\s*\?$/, " ?");
  const lines = options.map((option, i) => `\n${LETTERS[i]!} ${option}`);
  return ` ${words}${lines.join("")}`;
}
