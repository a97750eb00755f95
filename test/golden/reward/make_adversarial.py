"""Writes test/reward/adversarial.ts: completions that try to fool rewards, and what each must score.

    pip install rouge-score==0.1.2 nltk==3.10.4
    python test/golden/reward/make_adversarial.py

Scores come from the definitions below, in Python: the regular expressions of the sources run by
Python's `re`, and Python's own str.strip, str.isalnum, float and round. Each line says why.
"""

import json
import re
import unicodedata
from fractions import Fraction
from pathlib import Path

from rouge_score import rouge_scorer

OPTIONS = ["red", "blue", "white", "green"]
ROWS = {
    "choice": ("C", OPTIONS),
    "several": ("B,C", ["A. calm", "B. angry", "C. loud", "D. sad"]),
    "thousand": ("1000", None),
    "decimal": ("3.14", None),
    "half": ("0.5", None),
    "zero": ("0", None),
    "actions": ("(1) open (3) close", None),
    "yes": ("Yes", None),
    "no": ("No", None),
    "words": ("The quick brown fox jumps", None),
    "spans": ("[10, 20]; [30, 40]", None),
    "lettered": ("B", ["A. Abba", "B. B. B. King"]),
    "initials": ("B", ["The Beatles", "B. B. King"]),
    "greek": ("\u0391\u03a3\u0391", None),
}


class Fail(Exception):
    """The row is wrong, which is no score."""


def search(pattern, text, flags=re.S):
    found = re.search(pattern, text, flags)
    return None if found is None else found.group(1) if found.groups() else found.group(0)


def block(text):
    return (search(r"<answer>(.*?)</answer>", text) or "").strip()


def once(text, *tags):
    return all(text.count(f"<{t}>") == 1 and text.count(f"</{t}>") == 1 for t in tags)


def tags(text, gold, options, single=False):
    score = 0.0
    for tag, worth in (("think", 0.25), ("answer", 0.75)):
        if re.search(rf"<{tag}>[\s\S]*</{tag}>", text) and (not single or once(text, tag)):
            score += worth
    return score


def think_answer(text, gold, options, single=False):
    fits = re.fullmatch(r"<think>.*?</think>\s*<answer>.*?</answer>", text.strip(), re.S)
    return float(bool(fits) and (not single or once(text, "think", "answer")))


def parts(text, gold, options):
    thought, answer = search(r"<think>.*?</think>", text), search(r"<answer>.*?</answer>", text)
    ordered = search(r"<think>.*?</think>.*?<answer>.*?</answer>", text)
    return (3 * bool(thought) + 3 * bool(answer) + 4 * bool(ordered)) / 10


def context(text, gold, options, single=False):
    pattern = r"^<context>.*?</context>\s*<think>.*?</think>\s*<answer>.*?</answer>"
    if single:
        whole = re.fullmatch(pattern + r"\s*", text, re.S)
        return float(bool(whole) and once(text, "context", "think", "answer"))
    return float(bool(re.search(pattern, text, re.S)))


def answer_only(text, gold, options, single=False):
    fits = re.fullmatch(r"<answer>.*?</answer>", text, re.S)
    return float(bool(fits) and (not single or once(text, "answer")))


def alnum(text):
    return "".join(c for c in text if c.isalnum()).lower()


def exact(text, gold, options, fallback=False):
    said = search(r"<answer>([\s\S]*)</answer>", text)
    if said is None:
        said = text if fallback else None
    return float(said is not None and alnum(said) == alnum(gold))


def letter(text, gold, options):
    return float(block(text) == gold)


def option_words(text, gold, options):
    said = search(r"<answer>(.*?)</answer>", text, 0)
    right = [gold]
    if options and len(gold) == 1:
        right = [options[ord(gold) - 65]]
        if all(o.startswith(f"{chr(65 + i)}. ") for i, o in enumerate(options)):
            right.append(right[0][3:])
    return float((text if said is None else said).strip() in right)


def action_sides(text, gold):
    said = search(r"<answer>(.*?)</answer>", text)
    said = (text if said is None else said).strip()
    plain = [t.replace(" ", "").replace("_", "").lower() for t in (said, gold)]
    return re.findall(r"\((\d+)\)", said), re.findall(r"\((\d+)\)", gold), plain[0] == plain[1]


def action_match(text, gold, options):
    said, right, same = action_sides(text, gold)
    return float((bool(right) and sorted(said) == sorted(right)) or same)


def action_iou(text, gold, options):
    said, right, same = action_sides(text, gold)
    if not right:
        return float(same)
    return len(set(said) & set(right)) / len(set(said) | set(right))


def set_f1(text, gold, options, trim=False):
    right, said = gold.split(","), block(text).split(",")
    if trim:
        right, said = ([i.strip() for i in items if i.strip()] for items in (right, said))
    shared = len(set(right) & set(said))
    if shared == 0:
        return 0.0
    p, r = shared / len(right), shared / len(said)
    return 2 * (p * r) / (p + r)


def number(text):
    try:
        value = float(text.replace(",", ""))
    except ValueError:
        return None
    # Deviation from the sources, on purpose: infinities, NaN and digits of other scripts are none.
    return value if value - value == 0 and text.isascii() else None


def gold_number(gold):
    value = number(gold)
    if value is None:
        raise Fail
    return value


def numeric(text, gold, options):
    right, said = gold_number(gold), block(text)
    value = number(said)
    if value is None or bool(set(".,") & set(said)) != bool(set(".,") & set(gold)):
        return 0.0
    return float(round(value, 2) == round(right, 2))


def wide(text):
    percent, text = text.endswith("%"), text.removesuffix("%")
    sides = []
    for side in text.split("/"):
        if "," in side and not re.fullmatch(r"\s*[+-]?\d{1,3}(,\d{3})+(\.\d*)?\s*", side):
            return None
        sides.append(number(side))
    if None in sides or len(sides) > 2 or (len(sides) == 2 and sides[1] == 0):
        return None
    return sides[0] / (sides[1] if len(sides) == 2 else 1) / (100 if percent else 1)


def numeric_close(text, gold, options):
    right, value = gold_number(gold), wide(block(text))
    return float(value is not None and abs(value - right) <= 0.05)


def regression(text, gold, options):
    right, value = gold_number(gold), number(block(text))
    if value is None:
        return 0.0
    return 1 - min(1.0, (abs(value - right) + 1e-9) / (abs(right) + 1e-9))


def ocr(text, gold, options):
    right, said = gold.split(), block(text).split()
    best = {(i, 0): i for i in range(len(right) + 1)} | {(0, j): j for j in range(len(said) + 1)}
    for i, word in enumerate(right, 1):
        for j, other in enumerate(said, 1):
            best[i, j] = min(
                best[i - 1, j - 1] + (word != other), best[i - 1, j] + 1, best[i, j - 1] + 1
            )
    return max(0.0, 1 - best[len(right), len(said)] / max(1, len(right)))


def yes_no(text, gold, options, strict=False):
    said, gold = block(text).lower(), gold.lower()
    if strict:
        words = set(re.findall(r"[^\W_]+", said)) & {"yes", "no"}
        return float(len(words) == 1 and words <= set(re.findall(r"[^\W_]+", gold)))
    return float(any(w in said and w in gold for w in ("yes", "no")))


def temporal(text, gold, options):
    def covered(side):
        found = re.findall(r"\[(\d+\.?\d*),\s*(\d+\.?\d*)\]", side)
        return [(Fraction(a), Fraction(b)) for a, b in found]

    sides = covered(block(text)), covered(gold)
    points = sorted({p for side in sides for span in side for p in span})
    both = either = right = Fraction(0)
    for a, b in zip(points, points[1:]):
        inside = [any(s <= a and b <= e for s, e in side) for side in sides]
        both += (b - a) * all(inside)
        either += (b - a) * any(inside)
        right += (b - a) * inside[1]
    if right == 0:
        raise Fail
    return float(both / either)


def rouge(text, gold, options):
    kinds = ["rouge1", "rouge2", "rougeL"]
    scores = rouge_scorer.RougeScorer(kinds, use_stemmer=True).score(gold, block(text))
    return sum(scores[kind].fmeasure for kind in kinds) / 3


def strict(text, gold, options):
    found = re.fullmatch(r"<think>(.*?)</think>\s*<answer>([A-Z])</answer>", text, re.S)
    inner = found and found.group(1)
    unseen = "\u2800\u3164\u115f\u1160\uffa0"
    if not found or not any(unicodedata.category(c)[0] in "LNPS" and c not in unseen for c in inner):
        return None
    if re.search(r"</?(?:think|answer)\b|<\|", inner, re.I):
        return None
    return found.group(2) if found.group(2) in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options or "4444")] else None


def own_format(text, gold, options):
    return float(strict(text, gold, options) is not None)


def own_correct(text, gold, options):
    if len(gold) != 1 or gold not in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[: len(options or "4444")]:
        raise Fail
    return float(strict(text, gold, options) == gold)


REWARDS = {
    "format": own_format,
    "correct": own_correct,
    "format-tags": tags,
    "format-tags once": lambda *a: tags(*a, single=True),
    "format-think-answer": think_answer,
    "format-think-answer once": lambda *a: think_answer(*a, single=True),
    "format-parts": parts,
    "format-context": context,
    "format-context once": lambda *a: context(*a, single=True),
    "format-answer": answer_only,
    "format-answer once": lambda *a: answer_only(*a, single=True),
    "exact-alnum": exact,
    "exact-alnum fallback": lambda *a: exact(*a, fallback=True),
    "option-letter": letter,
    "option-text": option_words,
    "action-match": action_match,
    "action-iou": action_iou,
    "set-f1": set_f1,
    "set-f1 strip": lambda *a: set_f1(*a, trim=True),
    "numeric": numeric,
    "numeric tolerance": numeric_close,
    "regression": regression,
    "ocr": ocr,
    "yes-no": yes_no,
    "yes-no strict": lambda *a: yes_no(*a, strict=True),
    "temporal-iou": temporal,
    "rouge": rouge,
}

T = "<think>third is white</think>"


def a(text):
    return f"<answer>{text}</answer>"


CASES = [
    ("choice", T + a("C"), "what is asked for"),
    ("choice", T + "\n" + a("C"), "a line feed may part the blocks, as in the sources"),
    ("choice", T + "\n\n \t" + a("C"), "any white space may part the blocks"),
    ("choice", T + a("A"), "a well-formed wrong answer earns format only"),
    ("choice", a("C"), "no thought: answer-only is the form of the audio recipes"),
    ("choice", "<context>a bus</context>" + T + a("C"), "the three blocks; not two blocks from the start"),
    ("choice", "<context>a bus</context>\n" + T + "\n" + a("C") + " done", "text after is allowed by the source's context pattern"),
    ("choice", "so <context>a bus</context>" + T + a("C"), "text before the context is not"),
    ("choice", "<context>a</context> b " + T + a("C"), "words between the blocks break the pattern"),
    ("choice", "<context>a</context>" + a("C") + T, "blocks in another order"),
    ("choice", T + "<context>a</context>" + a("C"), "context after the thought"),
    ("choice", "<context>a</context><context>b</context>" + T + a("C"), "a repeated context passes the source, not once"),
    ("choice", "<context>a" + T + a("C"), "context never closed"),
    ("choice", "", "nothing"),
    ("choice", " ", "a space"),
    ("choice", "\n\n", "line feeds"),
    ("choice", "C", "a bare letter: only the fall-back pays, which is why it was added and taken out"),
    ("choice", "c", "a bare letter in lower case"),
    ("choice", "C.", "punctuation is nothing to alphanumerics"),
    ("choice", "(C)", "brackets are nothing to alphanumerics"),
    ("choice", " C\n", "white space around a bare letter: action-match compares without spaces"),
    ("choice", "white", "the words of the option: the audio recipes' answer"),
    ("choice", "White", "equality of texts minds case"),
    ("choice", "white.", "equality of texts minds the full stop"),
    ("choice", "Answer: C", "no tag; the fall-back sees AnswerC"),
    ("choice", "Answer: B", "no tag and wrong"),
    ("choice", "The answer is C", "a sentence is not the letter"),
    ("choice", "A", "the wrong bare letter"),
    ("choice", "A white shape", "A is an article here; nothing pays"),
    ("choice", "B or C", "two options named without a tag"),
    ("choice", "C C C", "thrice the letter is not the letter"),
    ("choice", T + "C", "the answer outside any tag"),
    ("choice", "C" + T + a(""), "an answer before an empty block"),
    ("choice", a("") + "C", "an answer after an empty block"),
    ("choice", T + a(""), "an empty answer has the format and is wrong"),
    ("choice", T + a(" "), "a blank answer likewise"),
    ("choice", T + a("\u200b"), "a zero-width space is no answer"),
    ("choice", "<think></think>" + a("C"), "an empty thought passes the sources' patterns; aubade's own wants a thought"),
    ("choice", "<think> </think>" + a("C"), "a blank thought likewise"),
    ("choice", "<think>\n</think>" + a("C"), "a thought of one line feed likewise"),
    ("choice", "<think></think><answer></answer>", "empty blocks earn full format in the sources"),
    ("choice", "<think><answer></think></answer>", "crossed tags: both are found, no order holds"),
    ("choice", "<answer><think></answer></think>", "crossed the other way"),
    ("choice", "</think><think></answer><answer>", "closing tags before opening ones are no blocks"),
    ("choice", "<think></answer><answer></think>", "think opens and closes around; the answer closes first"),
    ("choice", T + T + a("C"), "a repeated thought: the lazy block stretches over it"),
    ("choice", T + a("C") + a("C"), "two equal answers: greedy sees C C, the first block is right"),
    ("choice", T + a("C") + a("A"), "two answers: the first counts where matching is lazy, none where greedy"),
    ("choice", T + a("A") + a("C"), "two answers, the right one last: nowhere right"),
    ("choice", a("C") + a("C"), "answer-only stretches over two"),
    ("choice", a("A") + a("B") + a("C") + a("D"), "every option in its own block"),
    ("choice", a("C") + " is wrong, " + a("A"), "words between two blocks go into the greedy answer"),
    ("choice", T + a(a("C")), "nested answers: the first block is an opening tag and C"),
    ("choice", T + "<answer>" + a("C"), "an answer opened twice"),
    ("choice", T + a("C") + "</answer>", "an answer closed twice: greedy takes a tag into the answer"),
    ("choice", "<think>" + T + "</think>" + a("C"), "nested thoughts stretch"),
    ("choice", "<think>" + T + a("C"), "a thought opened twice"),
    ("choice", T + "</think>" + a("C"), "a thought closed twice"),
    ("choice", "<think>a <answer>C</answer> b</think>" + a("A"), "an answer inside the thought is the first block"),
    ("choice", "<think>a <answer>C</answer> b</think>", "the only answer is inside the thought"),
    ("choice", a("<think>x</think>C"), "a thought inside the answer: greedy reads thinkxthinkC"),
    ("choice", a("<think>C</think>"), "the answer is a thought"),
    ("choice", a("C") + T, "answer before thought: tags in another order"),
    ("choice", a("C") + "\n" + T, "the same on two lines"),
    ("choice", a("C") + T + a("C"), "an answer on both sides of the thought"),
    ("choice", "<think>third", "a thought never closed"),
    ("choice", "<think>third" + a("C"), "an answer in a thought never closed"),
    ("choice", T + "<answer>C", "an answer never closed, as when cut off"),
    ("choice", T + "C</answer>", "an answer never opened"),
    ("choice", "third</think>" + a("C"), "a thought never opened"),
    ("choice", "<think>third</think", "cut off inside a tag"),
    ("choice", T + "<answer>C</answer", "cut off inside the last tag"),
    ("choice", T + "</answer>C<answer>", "tags the wrong way round"),
    ("choice", "Sure! " + T + a("C"), "words before the pattern"),
    ("choice", T + a("C") + " I hope this helps", "words after the pattern"),
    ("choice", T + " so " + a("C"), "words between the blocks: the whole pattern fails, the parts are in order"),
    ("choice", " " + T + a("C"), "white space before: source C strips, aubade's own does not"),
    ("choice", T + a("C") + "\n", "white space after likewise"),
    ("choice", "\u3000" + T + a("C"), "an ideographic space is white space"),
    ("choice", "\x1c" + T + a("C"), "a file separator is white space in Python"),
    ("choice", "\ufeff" + T + a("C"), "a byte order mark is not white space in Python"),
    ("choice", "\u200b" + T + a("C"), "a zero-width space is not white space"),
    ("choice", " " + a("C"), "answer-only is not stripped in the source"),
    ("choice", a("C") + "\n", "nor at its end"),
    ("choice", "```\n" + T + a("C") + "\n```", "tags in a code block: found by search, not by the whole pattern"),
    ("choice", "```xml\n" + a("C") + "\n```", "an answer in a code block"),
    ("choice", "`" + T + a("C") + "`", "in back quotes"),
    ("choice", T + a("`C`"), "the letter in back quotes"),
    ("choice", T + a("**C**"), "stars of bold type are no letters"),
    ("choice", T + a("\\boxed{C}"), "boxed is a word to alphanumerics"),
    ("choice", T + a("$C$"), "dollar signs are not"),
    ("choice", T + a("C."), "a full stop"),
    ("choice", T + a("C)"), "a bracket"),
    ("choice", T + a("(C)"), "two brackets"),
    ("choice", T + a("[C]"), "square brackets"),
    ("choice", T + a("'C'"), "quotes"),
    ("choice", T + a(" C "), "spaces around the letter are stripped"),
    ("choice", T + a("\nC\n"), "line feeds too, but the audio recipes' dot stops at them"),
    ("choice", T + a("\tC\r\n"), "tab and carriage return"),
    ("choice", T + a("\u00a0C\u00a0"), "no-break spaces are white space"),
    ("choice", T + a("\u200bC"), "a zero-width space is not, and no letter either"),
    ("choice", T + a("C\u200d"), "a zero-width joiner likewise"),
    ("choice", T + a("\ufeffC"), "a byte order mark likewise"),
    ("choice", T + a("C\u00ad"), "a soft hyphen likewise"),
    ("choice", T + a("C\u0301"), "a combining accent is no letter of its own"),
    ("choice", T + a("\u00c7"), "C with cedilla is another letter"),
    ("choice", T + a("c"), "lower case"),
    ("choice", T + a("\u0421"), "Cyrillic Es looks like C"),
    ("choice", T + a("\u0441"), "Cyrillic es in lower case"),
    ("choice", T + a("\uff23"), "fullwidth C"),
    ("choice", T + a("\u216d"), "the Roman numeral hundred"),
    ("choice", T + a("\u2102"), "double-struck C"),
    ("choice", T + a("\u24b8"), "circled C is a symbol, no letter"),
    ("choice", T + a("\U0001d402"), "mathematical bold C"),
    ("choice", T + a("\u00a9"), "the copyright sign"),
    ("choice", T + a("\u03f9"), "Greek lunate sigma"),
    ("choice", "<Think>x</Think><Answer>C</Answer>", "tags mind case"),
    ("choice", "<THINK>x</THINK><ANSWER>C</ANSWER>", "tags in capitals"),
    ("choice", "<think >x</think ><answer >C</answer >", "spaces in tags"),
    ("choice", "< think>x</ think>< answer>C</ answer>", "spaces in tags, in front"),
    ("choice", "<think/>x<answer>C</answer>", "a tag that closes itself"),
    ("choice", '<think id="1">x</think>' + a("C"), "a tag with an attribute is another tag"),
    ("choice", "<thinking>x</thinking>" + a("C"), "a longer tag is another tag"),
    ("choice", "<answers>C</answers>", "plural"),
    ("choice", "<final_answer>C</final_answer>", "another name"),
    ("choice", "[think]x[/think][answer]C[/answer]", "square brackets for tags"),
    ("choice", "&lt;think&gt;x&lt;/think&gt;&lt;answer&gt;C&lt;/answer&gt;", "HTML entities are not tags"),
    ("choice", T + a("&#67;"), "an entity of the letter is a number"),
    ("choice", T + a("&lt;C&gt;"), "entities around the letter are letters"),
    ("choice", "\uff1cthink\uff1ex\uff1c/think\uff1e\uff1canswer\uff1eC\uff1c/answer\uff1e", "fullwidth brackets are not tags"),
    ("choice", "<\u200bthink>x</\u200bthink><answer>C</answer>", "a zero-width space inside a tag"),
    ("choice", "<thin\u043a>x</thin\u043a>" + a("C"), "a Cyrillic letter inside a tag"),
    ("choice", "<think>x<\\/think><answer>C<\\/answer>", "escaped slashes"),
    ("choice", T + a("white"), "the option's words in the tag: right for the audio recipes only"),
    ("choice", T + a(" white "), "stripped"),
    ("choice", T + a("White"), "with a capital: wrong for equality"),
    ("choice", T + a("white\n"), "a line feed in the block: the audio recipes take the whole text then"),
    ("choice", T + a("C. white"), "letter and words are neither"),
    ("choice", T + a("C: white"), "with a colon"),
    ("choice", T + a("the white one"), "a phrase"),
    ("choice", T + a("red, blue, white, green"), "all options' words"),
    ("choice", T + a("ABCD"), "all letters"),
    ("choice", T + a("A,B,C,D"), "all letters as a list: F1 pays by its definition"),
    ("choice", T + a("A, B, C, D"), "all letters as a list with spaces: F1 needs strip"),
    ("choice", T + a("A or C"), "two letters"),
    ("choice", T + a("A/C"), "two letters and a stroke"),
    ("choice", T + a("C, not A"), "a negation after"),
    ("choice", T + a("not C"), "a negation"),
    ("choice", T + a("not A"), "a negation of a wrong one"),
    ("choice", T + a("anything but C"), "a negation in words"),
    ("choice", T + a("CC"), "the letter twice"),
    ("choice", T + a("C C"), "the letter twice with a space"),
    ("choice", T + a("C,C"), "said twice in a list: F1 pays less"),
    ("choice", T + a("3"), "the option's number"),
    ("choice", T + a("third"), "its place"),
    ("choice", T + a("E"), "a letter that no option has: aubade's own format refuses it"),
    ("choice", T + a("option C"), "a word before the letter"),
    ("choice", T + a("Answer: C"), "a label before the letter"),
    ("choice", T + a("The answer is C"), "a sentence: one word of four is right"),
    ("choice", T + a("A bus"), "an article, not a choice"),
    ("choice", T + a("C") + "<|im_end|>", "a marker of the chat format after"),
    ("choice", "<|im_start|>assistant\n" + T + a("C"), "a marker before"),
    ("choice", "<think>a <|im_end|> b</think>" + a("C"), "a marker inside the thought: only aubade's own refuses it"),
    ("choice", T + a("C<|endoftext|>"), "a marker inside the answer is letters"),
    ("choice", "system" * 40, "the garbage of source B: nothing pays"),
    ("choice", "system\n" * 20 + "system", "the same on lines"),
    ("choice", "<think>" + "system" * 20 + "</think>" + a("system"), "the same in the format: format pays, and is a number of its own"),
    ("choice", "people person face man woman talking smiling walking looking", "keyword stuffing: see the known-bad reward"),
    ("choice", "first then next after before finally while during step one step two", "stuffing of words of time"),
    ("choice", "<think>people people people</think>" + a("people"), "stuffing in the format"),
    ("choice", "C " * 50, "a bare letter over and over"),
    ("choice", "<answer>" * 20 + "C" + "</answer>" * 20, "tags over and over"),
    ("choice", "<think>" * 5 + "</think>" * 5 + "<answer>" * 5 + "</answer>" * 5, "only tags"),
    ("choice", T + a("C") + T + a("C"), "the whole pattern twice stretches to one"),
    ("choice", (T + a("A")) * 2 + T + a("C"), "three tries, the last right"),
    ("choice", "<think>a</think>b<think>c</think>" + a("C"), "two thoughts with words between: one long thought to the lazy pattern"),
    ("choice", "<think>a\nb\nc</think>\n" + a("C"), "a thought of several lines"),
    ("choice", "<think>1 < 2 and 3 > 2</think>" + a("C"), "angle brackets in the thought"),
    ("choice", "<think>I say </answer> now</think>" + a("C"), "a closing tag in the thought"),
    ("choice", "<think>I say <answer> now</think>" + a("C"), "an opening tag in the thought: the first block begins there"),
    ("choice", "\\u003canswer\\u003eC\\u003c/answer\\u003e", "escapes as JSON writes them are not tags"),
    ("choice", '{"answer": "C"}', "JSON in place of tags"),
    ("choice", "\\boxed{C}", "another convention"),
    ("choice", "answer>C</answer", "brackets lost"),
    ("choice", "\u7b54\u6848\uff1aC", "another language"),
    ("choice", T + a("\u7b2c\u4e09\u4e2a C"), "letters of another script are letters"),
    ("choice", T + a("C\x00"), "a null character is no letter; the tokenizer can say it"),
    ("choice", T + a("\u202eC"), "an override of direction is no letter"),
    ("choice", T + a("\U0001f600C"), "an emoji is no letter"),
    ("choice", T + a("C\u00b2"), "a superscript two is a number"),
    ("several", a("B,C"), "what is asked for"),
    ("several", a("C,B"), "a set has no order; the letters in a row have"),
    ("several", a("B, C"), "a space: no match for the source, right with strip"),
    ("several", a("B"), "half: precision 1, recall a half"),
    ("several", a("A,B,C,D"), "all of them: F1 two thirds"),
    ("several", a("B,B,B,C"), "a repeated item costs precision"),
    ("several", a("BC"), "no comma: right for alphanumerics, no item of the set"),
    ("several", a("B and C"), "words between"),
    ("several", a("b,c"), "lower case"),
    ("several", a("A,D"), "none right"),
    ("several", a(","), "empty items"),
    ("several", a("B,,C"), "an empty item between"),
    ("several", "B,C", "without the tag: equality of the whole text pays in the audio recipes"),
    ("several", a("B;C"), "a semicolon parts nothing"),
    ("several", a("B\uff0cC"), "a fullwidth comma parts nothing"),
    ("thousand", a("1000"), "what is asked for"),
    ("thousand", a("1,000"), "a comma that the right answer lacks: wrong by the source's rule"),
    ("thousand", a("1000.0"), "a full stop that the right answer lacks"),
    ("thousand", a("1e3"), "Python reads it"),
    ("thousand", a("1E+3"), "and this"),
    ("thousand", a("1_000"), "and this"),
    ("thousand", a("1__000"), "but not this"),
    ("thousand", a("+1000"), "a sign"),
    ("thousand", a("-1000"), "the wrong sign: the relative error is 2, at most 1"),
    ("thousand", a("01000"), "a leading zero"),
    ("thousand", a("1 000"), "a space inside"),
    ("thousand", a("1.000"), "a full stop for thousands is 1"),
    ("thousand", a("10,00"), "a comma in the wrong place: dropped by the source, refused with tolerance"),
    ("thousand", a("999"), "one off: relative error a thousandth"),
    ("thousand", a("1001"), "one off above"),
    ("thousand", a("500"), "half of it: relative error a half"),
    ("thousand", a("2000"), "twice: relative error 1"),
    ("thousand", a("about 1000"), "a word"),
    ("thousand", a("1000 Hz"), "a unit"),
    ("thousand", a("one thousand"), "in words"),
    ("thousand", a("\uff11\uff10\uff10\uff10"), "fullwidth digits are no digits here"),
    ("thousand", a("0x3e8"), "hexadecimal is none"),
    ("thousand", a("10**3"), "a formula is none"),
    ("thousand", a("100000%"), "per cent counts with tolerance only"),
    ("thousand", a("2000/2"), "a fraction counts with tolerance only"),
    ("thousand", a("1/0"), "division by zero"),
    ("thousand", a("1000/1/1"), "two strokes"),
    ("thousand", a("nan"), "NaN earns 1 in the source's regression; here it is no number"),
    ("thousand", a("inf"), "infinity"),
    ("thousand", a("-Infinity"), "infinity below"),
    ("thousand", a("1e999"), "a number too large is infinite"),
    ("thousand", a(""), "nothing"),
    ("thousand", "1000", "without the tag"),
    ("thousand", a("1000") + a("7"), "two answers: the first counts, greedy joins them"),
    ("thousand", a("1000, 7"), "a list: commas dropped, a space left"),
    ("decimal", a("3.14"), "what is asked for"),
    ("decimal", a("3.140"), "a further zero"),
    ("decimal", a("3.1415"), "rounds to the same hundredth"),
    ("decimal", a("3.15"), "the next hundredth: within the tolerance"),
    ("decimal", a("3.2"), "outside the tolerance"),
    ("decimal", a("3,14"), "a decimal comma is dropped: 314"),
    ("decimal", a("3"), "no full stop where the right answer has one"),
    ("decimal", a("314e-2"), "the same number, written without a full stop"),
    ("decimal", a("22/7"), "a fraction within the tolerance"),
    ("decimal", a("pi"), "a name"),
    ("decimal", a(".314e1"), "Python reads it"),
    ("half", a("0.5"), "what is asked for"),
    ("half", a(".5"), "without the zero"),
    ("half", a("50%"), "per cent counts with tolerance only"),
    ("half", a("1/2"), "a fraction likewise"),
    ("half", a("0.505"), "Python rounds the stored 0.505 to 0.51"),
    ("half", a("0.495"), "and 0.495 to 0.49"),
    ("half", a("\u00bd"), "the character for a half is a number only to alphanumerics"),
    ("half", a("5e-1"), "no full stop where the right answer has one"),
    ("zero", a("0"), "what is asked for; the source's relative error of 0 against 0 is 1"),
    ("zero", a("-0"), "minus zero is zero"),
    ("zero", a("0.001"), "a full stop that the right answer lacks; within the tolerance"),
    ("zero", a("none"), "a word"),
    ("actions", a("(1) open (3) close"), "what is asked for"),
    ("actions", a("(3)(1)"), "numbers alone, in any order"),
    ("actions", a("(1)"), "half of them: intersection over union a half"),
    ("actions", a("(1)(3)(5)"), "one too many"),
    ("actions", a("(1)(1)(3)"), "a number twice: no match, the same set"),
    ("actions", a("(1)(2)(3)(4)(5)(6)(7)(8)(9)"), "every number: the union is large"),
    ("actions", a("1, 3"), "no brackets"),
    ("actions", a("(01)(3)"), "01 is another text than 1"),
    ("actions", a("( 1 )( 3 )"), "spaces in brackets"),
    ("actions", a("open_(1)__(3)"), "underscores do not matter to numbers"),
    ("actions", "(1)(3)", "without the tag the whole text is the answer"),
    ("actions", a("(2)"), "a wrong number"),
    ("actions", a("(1)(3)") + a("(2)"), "two answers: the first counts"),
    ("actions", "(1)" + a("(3)"), "numbers outside the tag do not count"),
    ("actions", a("\uff081\uff09\uff083\uff09"), "fullwidth brackets are no brackets"),
    ("yes", a("Yes"), "what is asked for"),
    ("yes", a("yes."), "punctuation"),
    ("yes", a("YES"), "capitals"),
    ("yes", a("No"), "the other one"),
    ("yes", a("yes and no"), "both: right for the source, wrong for strict"),
    ("yes", a("no, not yes"), "a negation that names both"),
    ("yes", a("yesterday"), "inside another word"),
    ("yes", a("eyes"), "at the end of another word"),
    ("yes", a("Y"), "a letter"),
    ("yes", "Yes", "without the tag"),
    ("yes", a("true"), "another word for it"),
    ("yes", a("\u0423es"), "a Cyrillic letter"),
    ("no", a("No"), "what is asked for"),
    ("no", a("unknown"), "contains no: right for the source"),
    ("no", a("nothing"), "begins with no"),
    ("no", a("not sure"), "likewise"),
    ("no", a("Yes, I know"), "a yes that contains no"),
    ("no", a("nope"), "likewise, which strict does not take"),
    ("words", a("The quick brown fox jumps"), "what is asked for"),
    ("words", a("the quick brown fox jumps"), "case costs a word of the error rate, nothing of ROUGE"),
    ("words", a("The quick brown fox jumps."), "a full stop makes another word of the last"),
    ("words", a("The quick brown fox jumped"), "stems are equal"),
    ("words", a("fox brown quick The jumps"), "the words in another order"),
    ("words", a("quick fox"), "two words of five"),
    ("words", a("The quick brown fox jumps over the lazy dog and more"), "twice the words and one: no word rate left"),
    ("words", a("The The The The The"), "one word over and over is counted once"),
    ("words", a("The quick brown fox jumps " * 3), "all of it thrice"),
    ("words", a("cat"), "a wrong word"),
    ("words", a(""), "nothing"),
    ("words", "The quick brown fox jumps", "without the tag"),
    ("words", a("The  quick\n brown\tfox jumps"), "white space is white space"),
    ("words", a("The-quick-brown-fox-jumps"), "hyphens part words for ROUGE only"),
    ("words", a("Th\u0435 quick brown fox jumps"), "a Cyrillic letter makes two words of it for ROUGE"),
    ("spans", a("[10, 20]; [30, 40]"), "what is asked for"),
    ("spans", a("[30, 40]; [10, 20]"), "order does not matter"),
    ("spans", a("[10,20]"), "half of the time"),
    ("spans", a("[10, 40]"), "one span over both: 20 of 30 seconds"),
    ("spans", a("[0, 100]"), "everything: a fifth"),
    ("spans", a("[10, 20]; [10, 20]; [30, 40]"), "a span named twice counts once; pairs would give more than 1"),
    ("spans", a("[10, 20]" * 9), "a span named nine times"),
    ("spans", a("[20, 10]; [40, 30]"), "spans the wrong way round are nothing"),
    ("spans", a("[15.5, 20.]; [30, 35]"), "decimals: 9.5 of 20 seconds"),
    ("spans", a("[-10, 20]"), "a negative number is no span"),
    ("spans", a("10-20, 30-40"), "another notation"),
    ("spans", a("[10 20]"), "no comma"),
    ("spans", a("(10, 20)"), "round brackets"),
    ("spans", a("[12, 12]"), "a span without length"),
    ("spans", a("[50, 60]"), "elsewhere"),
    ("spans", "[10, 20]; [30, 40]", "without the tag"),
    ("choice", "<think>\u200b</think>" + a("C"), "a thought of a zero-width space is none that can be seen"),
    ("choice", "<think>\u3164\u2800\u00ad</think>" + a("C"), "fillers, blanks and soft hyphens likewise"),
    ("choice", "<think> \u0301</think>" + a("C"), "an accent on a space likewise"),
    ("choice", "<think>\u2026</think>" + a("C"), "three dots can be seen"),
    ("choice", "<think>\U0001f914</think>" + a("C"), "a face can be seen"),
    ("lettered", a("B. B. King"), "the words without the letter that the data puts before them"),
    ("lettered", a("B. B. B. King"), "the option as the prompt shows it"),
    ("lettered", a("B. King"), "an initial is no letter of an option"),
    ("lettered", a("A. Abba"), "the other option"),
    ("initials", a("B. B. King"), "an initial looks like the option's letter, but the first option bears none"),
    ("initials", a("B. King"), "an initial is missing"),
    ("greek", a("\u0391\u03a3\u0391"), "what is asked for"),
    ("greek", a("\u0391\u03a3 \u0391"), "case is folded once the space is gone: this sigma is not the last letter"),
    ("greek", a("\u0391\u03a3"), "a last sigma is another letter in lower case"),
]


def literal(text):
    return json.dumps(text)


def main():
    fails = {}
    lines = []
    for row, text, why in CASES:
        gold, options = ROWS[row]
        scores, failing = {}, []
        for name, reward in REWARDS.items():
            try:
                score = reward(text, gold, options)
            except Fail:
                failing.append(name)
                continue
            if score != 0:
                scores[name] = int(score) if score == int(score) else score
        assert fails.setdefault(row, failing) == failing
        lines.append(f"  [{literal(row)}, {literal(text)}, {json.dumps(scores)}, {literal(why)}],")
    rows = [
        f"  {name}: {{ id: {literal(name)}, answer: {literal(gold)}"
        + (f", options: {literal(options)}" if options else "")
        + " },"
        for name, (gold, options) in ROWS.items()
    ]
    out = [
        "// Generated by test/golden/reward/make_adversarial.py, which holds the definitions.",
        'import type { RewardRow } from "../../src/reward/reward.ts";',
        "",
        "/** The rows that completions answer. */",
        "export const ROWS = {",
        *rows,
        "} satisfies Record<string, RewardRow>;",
        "",
        "/** Rewards that cannot judge a row, since its answer is of another kind. */",
        "export const FAILS: Record<keyof typeof ROWS, string[]> = {",
        *(f"  {name}: {literal(failing)}," for name, failing in fails.items()),
        "};",
        "",
        "/** A row, a completion, the rewards that give it something else than 0, and why. */",
        "export type Case = [row: keyof typeof ROWS, text: string, scores: Record<string, number>, why: string];",
        "",
        "/** Completions that try to fool rewards; a reward that is not named gives 0. */",
        "// prettier-ignore",
        "export const ADVERSARIAL: Case[] = [",
        *lines,
        "];",
        "",
    ]
    path = Path(__file__).parents[2] / "reward" / "adversarial.ts"
    path.write_text("\n".join(out))
    print(len(CASES), "cases")


if __name__ == "__main__":
    main()
