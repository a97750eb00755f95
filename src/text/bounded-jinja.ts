/*
 * A template of a stranger's checkpoint is a program: this interpreter counts what it does, so that
 * every template ends, the same one at the same place everywhere.
 */
import { Environment, Interpreter, Template } from "@huggingface/jinja";

/** The fields of a program's part that the interpreter looks at. */
interface Statement {
  type: string;
  /** The value that a loop goes through. */
  iterable?: Statement;
  /** The value that a loop with a condition goes through, inside `iterable`. */
  lhs?: Statement;
}

/** The library's interpreter, whose declarations Node's way of finding modules does not reach. */
const Unbounded = Interpreter as unknown as new (environment: object) => {
  evaluate(statement: Statement | undefined, environment: unknown): { value: unknown };
  run(program: unknown): { value: unknown };
};

/** Characters of a template; those of released models have 5 to 20 thousand. */
const MAX_TEMPLATE = 2 ** 20;
/** Steps of a rendering; a thousand turns take some hundred thousand. */
const MAX_STEPS = 2_000_000;
/** Entries of a list, and characters of a text, that a template may make. */
const MAX_ENTRIES = 100_000;
const MAX_CHARACTERS = 2 ** 24;
/** Steps of an entry of a list: that a loop goes through, that is made, that is only named. */
const LOOP_STEPS = 10;
const NEW_STEPS = 1;
const NAMED_STEPS = 1 / 64;
/** Steps of a character of a text. */
const CHARACTER_STEPS = 1 / 64;

/** A Jinja template whose rendering ends. */
export class BoundedTemplate {
  readonly #template: Template;

  /**
   * Parses a template.
   *
   * @throws {Error} when it is too long or is none.
   */
  constructor(text: string) {
    if (text.length > MAX_TEMPLATE) {
      throw new Error(`it has ${text.length} characters; at most ${MAX_TEMPLATE} are read`);
    }
    this.#template = new Template(text);
  }

  /**
   * Renders the template with some variables.
   *
   * @throws {Error} when the template raises one, or does more than any chat template needs.
   */
  render(variables: Record<string, unknown>): string {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) {
      environment.set(name, value);
    }
    const result = new BoundedInterpreter(environment).run(this.#template.parsed);
    return result.value as string;
  }
}

class BoundedInterpreter extends Unbounded {
  #steps = 0;
  /** The lists of the loops that have begun. */
  readonly #looped = new Set<unknown>();

  override evaluate(statement: Statement | undefined, environment: unknown): { value: unknown } {
    this.#count(1);
    if (statement?.type === "For") this.#looped.add(listOf(statement));
    const result = super.evaluate(statement, environment);
    const { value } = result;
    if (Array.isArray(value)) {
      limit(value.length, MAX_ENTRIES, "entries in a list");
      this.#count(value.length * this.#stepsOf(statement));
    } else if (typeof value === "string") {
      limit(value.length, MAX_CHARACTERS, "characters in a text");
      this.#count(value.length * CHARACTER_STEPS);
    }
    return result;
  }

  #stepsOf(statement: Statement | undefined): number {
    if (this.#looped.has(statement)) return LOOP_STEPS;
    const named = statement?.type === "Identifier" || statement?.type === "MemberExpression";
    return named ? NAMED_STEPS : NEW_STEPS;
  }

  #count(steps: number): void {
    this.#steps += steps;
    limit(this.#steps, MAX_STEPS, "steps");
  }
}

function listOf({ iterable }: Statement): unknown {
  return iterable?.type === "SelectExpression" ? iterable.lhs : iterable;
}

function limit(number: number, most: number, what: string): void {
  if (number > most) throw new Error(`it makes more than ${most} ${what}`);
}

/** The names that every template has, as in the library's own `Template`, but for the bound. */
const GLOBALS = {
  ...{ true: true, false: false, none: null, True: true, False: false, None: null },
  raise_exception: (message: string) => {
    throw new Error(message);
  },
  range: (start: number, stop?: number, step = 1) => {
    const [from, to] = stop === undefined ? [0, start] : [start, stop];
    if (step === 0) throw new Error("range() step must not be zero");
    const length = Math.max(0, Math.ceil((to - from) / step));
    limit(length, MAX_ENTRIES, "entries in a list");
    return Array.from({ length }, (_, i) => from + i * step);
  },
  strftime_now: (format: string) =>
    new Template("{{ strftime_now(format) }}").render({ format: String(format) }),
};
