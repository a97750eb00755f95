"""Scores of pairs of texts and stems of words from Google's rouge_score and NLTK, for rouge.test.ts.

    pip install rouge-score==0.1.2 nltk==3.10.4
    python test/golden/reward/make_rouge.py

Texts are drawn from a fixed list of words with a fixed seed, so the file is always the same.
"""

import json
import random
from pathlib import Path

import nltk
from nltk.stem import porter
from rouge_score import rouge_scorer

ROOTS = """
abil accept act agree allow angle apply arrange attend authority base believe bend bless bury buy
call care cease character city clap class clear colour combine commun compare comply conform control
cry dance decide define depend derive die differ digit direct drop duty easy electric employ enjoy
exist fail feed fly form free fulfil funny gentle go grace happy hate hear hid hop hope house humor
imagin inform journey jump just kind knit lie logic lovely mad marry mass measure merry mix music
nation nature need note observe occur operate oppose pay perform person picture pity plan play please
please pretty produce quick rate reason refer relate replace revive ride rise run sad say season see
sensible shoe short sing size sky speak star stay stop study sublime succeed sway swim tall tan tell
tie tradition traffic triplicate trouble try tub usual valid vary vile vision wait walk watch win
yellow yes you yyy syzygy zeal
""".split()
ENDINGS = """
 |s|es|ed|ing|er|est|ly|y|ies|ied|ier|ness|ful|fulness|fully|less|ment|ements|ation|ational|ator|ize
 |izer|ization|ism|alism|ality|al|ally|alize|ance|ancy|ence|ency|ent|ently|ant|able|ability|ably
 |ible|ibility|ic|icate|ical|ically|icity|ion|ions|ive|iveness|ivity|ous|ously|ousness|ology|ologies
 |eed|eeds|ee|e|ll|lled|lling|tt|tted|ss|sses|zz|zzed
""".replace("\n", "").replace(" ", "").split("|")
LISTED = """
sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed
succeed dies died ties tied flies fly enjoy sly say happy generally apology biological skilfully
""".split()


def main():
    rng = random.Random(20)
    words = sorted({root + ending for root in ROOTS for ending in ENDINGS} | set(LISTED))
    stemmer = porter.PorterStemmer()
    stems = {word: stemmer.stem(word) for word in rng.sample(words, 4000) + LISTED}
    sample = rng.sample(words, 60)
    cases = []
    for index in range(400):
        pool = rng.sample(sample, rng.choice([2, 5, 20]))
        first = [rng.choice(pool) for _ in range(rng.randrange(0, 50))]
        second = [rng.choice(pool) for _ in range(rng.randrange(0, 50))]
        joins = rng.choice([" ", ", ", "-", "\n", " \u00e9 ", "_"])
        reference, hypothesis = joins.join(first).capitalize(), " ".join(second)
        row = {"reference": reference, "hypothesis": hypothesis, "scores": []}
        for stem in (True, False):
            scorer = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=stem)
            scores = scorer.score(reference, hypothesis)
            row["scores"].append([scores[k].fmeasure for k in ("rouge1", "rouge2", "rougeL")])
        cases.append(row)
    versions = {"rouge_score": "0.1.2", "nltk": nltk.__version__}
    path = Path(__file__).with_name("rouge.json")
    path.write_text(json.dumps({"versions": versions, "stems": stems, "cases": cases}) + "\n")


if __name__ == "__main__":
    main()
